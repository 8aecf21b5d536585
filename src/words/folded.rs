//! The form in which names are searched and sorted.

use super::fold::fold;
use super::invalid::{Invalid, InvalidField, InvalidKind};
use super::text::{Name, bounded, stored};

/// A name, or a part of a name, in the form in which names are searched and sorted.
///
/// The form is Unicode lower case, with each final sigma `ς` replaced by `σ`. All stores use the
/// same form. A text to search for may hold only characters that a [`Name`] may hold.
///
/// ```
/// use keyfob::{ProjectId, store::{FoldedName, ListQuery}};
///
/// let mut query = ListQuery::new(ProjectId::new("145")?);
/// query.name_contains = Some(FoldedName::new("VS C")?);
/// assert_eq!(query.name_contains.as_ref().map(FoldedName::as_str), Some("vs c"));
/// // No name holds a NUL, and PostgreSQL cannot search for one.
/// assert!(FoldedName::new("\0").is_err());
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoldedName(Box<str>);

impl FoldedName {
    /// The maximum number of characters in a folded name. It is twice the maximum of a [`Name`],
    /// because one character may fold to two.
    pub const MAX_CHARS: usize = 2 * Name::MAX_CHARS;

    /// Creates the folded form of a text, after trimming white space at both ends.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the trimmed text is empty, if it is longer than
    /// [`MAX_CHARS`](Self::MAX_CHARS) before or after folding, or if it holds a character that a
    /// [`Name`] may not hold.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let folded = fold(bounded(text, InvalidField::FoldedName, Self::MAX_CHARS)?);
        if folded.chars().count() > Self::MAX_CHARS {
            return Err(Invalid::new(InvalidField::FoldedName, InvalidKind::TooLong { max: Self::MAX_CHARS }));
        }
        Ok(Self(folded.into()))
    }

    /// Returns the folded name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the folded name that a store holds as `text`. Returns `None` if the text is empty,
    /// too long or not in the folded form, or if it has white space at an end or a control
    /// character.
    ///
    /// The text may hold other characters that a new name may not hold, because an older version
    /// of keyfob may have allowed them.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = stored(text, InvalidField::FoldedName, Self::MAX_CHARS).ok()?;
        (text.trim() == text && fold(text) == text).then(|| Self(text.into()))
    }
}

impl From<&Name> for FoldedName {
    fn from(name: &Name) -> Self {
        Self(name.folded().into())
    }
}

text_type!(FoldedName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_name_reads_back_as_itself() {
        for letter in (0..=0x10_ffff).filter_map(char::from_u32) {
            let Ok(name) = Name::new(&letter.to_string()) else { continue };
            let folded = FoldedName::from(&name);
            assert!(folded.as_str().chars().count() <= 2, "{letter:?}");
            assert_eq!(FoldedName::read(folded.as_str()), Some(folded), "{letter:?}");
        }
        let longest = Name::new(&"İ".repeat(Name::MAX_CHARS)).unwrap();
        let folded = FoldedName::from(&longest);
        assert_eq!(folded.as_str().chars().count(), FoldedName::MAX_CHARS);
        assert_eq!(FoldedName::read(folded.as_str()), Some(folded));
    }

    #[test]
    fn text_that_is_not_folded_is_not_read() {
        for text in ["", " a", "a ", "A", "ς", "\0", "a\0", "a\nb"] {
            assert_eq!(FoldedName::read(text), None, "{text:?}");
        }
        // An older version may have stored a name that the current rule refuses.
        assert_eq!(FoldedName::read("a\u{202e}").unwrap().as_str(), "a\u{202e}");
    }

    #[test]
    fn a_search_is_trimmed_and_bounded() {
        assert_eq!(FoldedName::new(" VS  Code\n").unwrap().as_str(), "vs  code");
        assert!(FoldedName::new(&"ж".repeat(510)).is_ok());
        let flaw = |text: &str| FoldedName::new(text).unwrap_err().kind();
        assert_eq!(flaw(&"ж".repeat(511)), InvalidKind::TooLong { max: 510 });
        assert_eq!(flaw(&"İ".repeat(256)), InvalidKind::TooLong { max: 510 });
        assert_eq!(flaw(" \n"), InvalidKind::Empty);
        assert_eq!(flaw("a\0"), InvalidKind::Character);
        assert_eq!(
            FoldedName::new("\0").unwrap_err().to_string(),
            "searched name: a character that is not allowed there"
        );
    }
}
