//! Numbers in words: counts with their nouns, and the rows of a page.

use std::fmt::Display;

/// Returns a number of things in words, such as "1 token" or "0 tokens".
pub fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// Returns a number of things in words, or `None` if the number is zero.
pub fn some(count: u64, one: &str) -> Option<String> {
    (count > 0).then(|| counted(count, one))
}

/// Returns the rows of a page in words, such as "1–20 of 190". An empty page has the rows 0 to 0.
pub fn rows<N: Display + PartialEq>(first: N, last: N, of: impl Display) -> String {
    if first == last { format!("{first} of {of}") } else { format!("{first}–{last} of {of}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_right_noun() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "token")), ["0 tokens", "1 token", "2 tokens"]);
        assert_eq!([0, 1].map(|count| some(count, "token")), [None, Some("1 token".into())]);
    }

    #[test]
    fn rows_of_a_page_in_words() {
        let said = [(1, 20, 190), (21, 21, 21), (0, 0, 0)].map(|(first, last, of)| rows(first, last, of));
        assert_eq!(said, ["1–20 of 190", "21 of 21", "0 of 0"]);
    }
}
