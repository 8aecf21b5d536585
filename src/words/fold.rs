//! Folds the case of names, so that they can be searched and sorted.

/// Folds the case of a text: Unicode lower case, with each final sigma `ς` replaced by `σ`.
pub(super) fn fold(text: &str) -> String {
    // `to_lowercase` writes a capital sigma as `ς` at the end of a word, and as `σ` elsewhere. If
    // `ς` were kept, a search for "ΟΔΥΣ" would not find "Οδυσσεύς".
    text.to_lowercase().replace('ς', "σ")
}
