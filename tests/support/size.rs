//! The size of long tests.

/// Returns whether `KEYFOB_TEST_SIZE` is `full`, as `.ci/soak` sets it.
///
/// # Panics
/// Panics if the variable has any other value than `full` or `short`. A misspelled value would
/// otherwise run the short size unnoticed.
pub fn is_full() -> bool {
    match std::env::var("KEYFOB_TEST_SIZE").as_deref() {
        Ok("full") => true,
        Ok("short") | Err(std::env::VarError::NotPresent) => false,
        other => panic!("KEYFOB_TEST_SIZE is {other:?}, but only \"full\" and \"short\" are sizes"),
    }
}
