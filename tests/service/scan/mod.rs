//! Tests of the finder, which finds tokens in streams, and of the redactor, which removes them.

mod finder;
mod quiet;
mod redactor;
mod streams;
