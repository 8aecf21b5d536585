//! The pages of the service, for people with a session in a browser.

pub mod admin;
pub mod agents;
pub mod alarm;
pub mod assets;
pub mod csrf;
pub mod dialog;
pub mod draft;
pub mod error;
pub mod forms;
pub mod frame;
pub mod join;
pub mod page;
pub mod pane;
pub mod password;
pub mod plural;
pub mod returns;
pub mod rows;
pub mod sessions;
pub mod sign_in;
pub mod spent;
pub mod standing;
pub mod time_words;
pub mod token;
pub mod view;
