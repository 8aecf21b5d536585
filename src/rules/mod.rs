//! The rules for tokens, as pure and synchronous functions. The caller passes in the current time
//! and the records.

pub(crate) mod access;
pub(crate) mod acting;
pub(crate) mod address;
pub(crate) mod adopt;
pub(crate) mod breach;
pub(crate) mod chain;
mod chain_status;
pub(crate) mod challenge;
pub(crate) mod change;
pub(crate) mod change_request;
pub(crate) mod check;
pub(crate) mod delegation;
pub(crate) mod error;
pub(crate) mod error_kind;
mod expiry;
pub(crate) mod explain;
mod import_bcrypt;
pub(crate) mod import_function;
pub(crate) mod import_look_up;
pub(crate) mod import_row;
pub(crate) mod import_scheme;
pub(crate) mod import_token;
pub(crate) mod imports;
pub(crate) mod issuer;
pub(crate) mod lifetimes;
pub(crate) mod limits;
pub(crate) mod mint;
pub(crate) mod new_token;
pub(crate) mod notice_lead;
pub(crate) mod notice_schedule;
pub(crate) mod outside;
pub(crate) mod outside_issuer;
mod own_project;
pub(crate) mod owner;
pub(crate) mod partial_failure;
pub(crate) mod policy;
pub(crate) mod precondition;
pub(crate) mod proof;
pub(crate) mod record;
pub(crate) mod rotate;
pub(crate) mod rotation;
pub(crate) mod salted_import;
mod same_record;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod scope;
pub(crate) mod scope_matcher;
pub(crate) mod scope_rules;
#[cfg(feature = "serde")]
mod seconds;
pub(crate) mod status;
pub(crate) mod token_kind;
mod unlimited;
pub(crate) mod verify_error;
pub(crate) mod view;
mod within;
