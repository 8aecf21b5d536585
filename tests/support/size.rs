//! How long a test may take.

/// Returns whether the tests run at their full size, which `KEYFOB_TEST_SIZE=full` asks for.
pub fn is_full() -> bool {
    std::env::var("KEYFOB_TEST_SIZE").as_deref() == Ok("full")
}
