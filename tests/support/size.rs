//! The size of tests that take long.

/// Whether `KEYFOB_TEST_SIZE=full` asks for the full size, as `.ci/soak` does.
///
/// # Panics
/// If the variable holds anything else, so that a misspelled word does not pass for a full run.
pub fn is_full() -> bool {
    match std::env::var("KEYFOB_TEST_SIZE").as_deref() {
        Ok("full") => true,
        Ok("short") | Err(std::env::VarError::NotPresent) => false,
        other => panic!("KEYFOB_TEST_SIZE is {other:?}, but only \"full\" and \"short\" are sizes"),
    }
}
