//! The case folding of names.

/// Folds the case of a text: Unicode lower case, with each final sigma `ς` replaced by `σ`.
pub(super) fn fold(text: &str) -> String {
    // `to_lowercase` writes a capital sigma at the end of a word as `ς`, and elsewhere as `σ`. If
    // both were kept, a search for the first letters of a word could miss the word.
    text.to_lowercase().replace('ς', "σ")
}
