//! The users of the service: people, their projects, and whether the owner of a token may still use
//! the token.

pub mod accounts;
pub mod changes;
pub mod denied;
pub mod directory;
pub mod guesses;
pub mod invitations;
pub mod limits;
pub mod owners;
pub mod project_changes;
pub mod projects;
pub mod too_many;
