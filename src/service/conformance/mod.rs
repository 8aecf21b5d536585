//! The laws of the store contract, as functions that the tests of a store call.
