//! Numbers with their nouns, in words.

/// Returns a number of things in words, such as "1 token" or "0 tokens".
pub fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// Returns a number of things in words, or `None` if the number is zero.
pub fn some(count: u64, one: &str) -> Option<String> {
    (count > 0).then(|| counted(count, one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_right_noun() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "token")), ["0 tokens", "1 token", "2 tokens"]);
        assert_eq!([0, 1].map(|count| some(count, "token")), [None, Some("1 token".into())]);
    }
}
