//! The back end that tokens open: which models a project has, and what is asked of them.

pub mod models;
