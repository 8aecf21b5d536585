//! Tokens found in streams, and kept out of them.

mod finder;
mod quiet;
mod redactor;
mod streams;
