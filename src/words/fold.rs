//! The case folding of names.

/// Lower case, as [`Name::folded`] has it.
pub(super) fn fold(text: &str) -> String {
    // A final sigma is another letter than one inside a word, so what is found would depend on what stands behind it.
    text.to_lowercase().replace('ς', "σ")
}
