//! Tokens: the verbs of the service, over a store.

pub(crate) mod change_verbs;
pub(crate) mod dry_run;
mod emit;
pub(crate) mod events;
mod find_imported;
pub(crate) mod import;
pub(crate) mod issue;
pub(crate) mod notices;
pub(crate) mod owners;
pub(crate) mod projects;
mod purge;
pub(crate) mod report_leak;
pub(crate) mod retire;
mod revoke;
pub(crate) mod rotate;
mod sampler;
pub(crate) mod service;
pub(crate) mod usage;
pub(crate) mod verify;
