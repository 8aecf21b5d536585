//! The integration tests of keyfob. Cargo wants a library or a program in each package, so this one
//! is empty.
