//! The size of the tests that have a short and a full size.

/// Returns whether the tests run at full size. They do if the environment variable
/// `KEYFOB_TEST_SIZE` is `full`. `.ci/soak` sets this value.
///
/// # Panics
/// Panics if the variable is set, but neither to `full` nor to `short`. A misspelled value would
/// otherwise run the short size without notice.
pub fn is_full() -> bool {
    match std::env::var("KEYFOB_TEST_SIZE").as_deref() {
        Ok("full") => true,
        Ok("short") | Err(std::env::VarError::NotPresent) => false,
        other => panic!("KEYFOB_TEST_SIZE is {other:?}, but only \"full\" and \"short\" are sizes"),
    }
}
