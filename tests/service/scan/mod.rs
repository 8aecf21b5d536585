//! Tokens are found in streams and redacted from them.

mod finder;
mod quiet;
mod redactor;
mod streams;
