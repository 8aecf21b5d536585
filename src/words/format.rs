//! The grammar of a token's text.

use core::fmt;

use super::ids::{Prefix, ProjectId, TokenId};
use super::rejection::{Refused, Rejection};
use crate::words::alphabet;

/// The number of random characters that form the secret of a token.
const SECRET: usize = 33;
/// The number of characters of the tag, which follows the secret of a token.
const TAG: usize = 11;
/// The number of characters of the checksum, which ends the token.
pub(crate) const CRC: usize = 6;
/// The number of characters of the tail, which is everything after the last `_`. The whole tail is
/// secret.
pub(crate) const TAIL: usize = SECRET + TAG + CRC;
/// The number of characters from the `_` before the token id to the end of the token. All parts in
/// this range have fixed lengths, so the parser finds them without a search.
const FROM_ID: usize = 1 + TokenId::LEN + 1 + TAIL;
/// The minimum number of characters in a token.
pub(crate) const MIN_LEN: usize = 2 + 1 + 1 + FROM_ID;
/// The maximum number of characters in a token.
pub(crate) const MAX_LEN: usize = Prefix::MAX_LEN + 1 + ProjectId::MAX_LEN + FROM_ID;

/// The text of a token, split into its parts. The text is well-formed, and its checksum is correct.
///
/// A client, an editor or a scanner can parse a token without a key. A parsed text is not
/// necessarily a genuine token. To verify a token, a service calls
/// [`PresentedToken::parse`](crate::PresentedToken::parse) with its keyring, which also checks the
/// tag.
///
/// # The grammar
/// ```text
/// token   = prefix "_" project "_" handle "_" tail    ASCII, 72 to 121 characters
/// prefix  = [a-z][a-z0-9]*(_[a-z0-9]+)*               2 to 20 characters
/// project = [0-9a-z]{1,32}
/// handle  = 16 base62 characters
/// tail    = secret33 tag11 crc6                       50 base62 characters
/// base62  = 0-9 A-Z a-z, in that order, most significant digit first,
///           left-padded with "0"
///
/// subkey  = HMAC-SHA-256(pepper, "keyfob/1 " prefix)
/// mac     = HMAC-SHA-256(subkey, handle secret project)
/// tag     = base62 of the first 8 bytes of mac as a big-endian u64
/// crc     = base62 of CRC-32/ISO-HDLC over all bytes before it
/// ```
/// The grammar of these tokens never changes.
///
/// - The service chooses the prefix once, such as `acme_pat` or `acme_test_pat`.
/// - The project is written as the opaque, immutable id that the service gave to it, such as `145`
///   or a UUID without dashes.
/// - The handle is the public look-up id, which is safe to log and to show. Its first character is
///   the key number: `0` means no pepper, and `1` to `z` mean the keys 1 to 61. The other 15
///   characters are random (89 bits).
/// - Everything left of the last `_` is public. Everything right of it is secret.
/// - The pepper of key 0 is the empty string.
/// - The input of `mac` is ASCII without separators. This input is unambiguous, because the handle
///   and the secret have fixed lengths.
/// - The store holds all 32 bytes of `mac`.
///
/// # Why this shape
/// - The token is one word: a double click selects all of it, and a shell, a URL and a header take
///   it without quotes.
/// - The token has two checks. Anyone can detect a typo by the CRC. The tag depends on the pepper,
///   so a forged token with a correct CRC is rejected without a store call.
/// - The secret has 196 random bits (RFC 6749 section 10.10 asks for 160), so a fast MAC is enough.
///   A password hash would only make a denial of service easier.
/// - The text shows neither a time nor the owner. The project and the id help to route and to
///   diagnose requests. They never grant access.
///
/// ```
/// use keyfob::text::TokenText;
///
/// let text = "acme_pat_145_00123456789ABCDE_\
///             AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o";
/// let token = TokenText::parse(text)?;
/// assert_eq!(token.prefix().as_str(), "acme_pat");
/// assert_eq!(token.project().as_str(), "145");
/// assert_eq!(token.id().as_str(), "00123456789ABCDE");
/// assert_eq!(token.public_part(), "acme_pat_145_00123456789ABCDE");
/// # Ok::<(), keyfob::Rejection>(())
/// ```
///
/// Timing may leak the length, the public part, and whether the text is well-formed. The checksum
/// is computed over the whole text with tables. The time for parsing does not depend on the tokens
/// in a store.
#[derive(Clone, Copy)]
pub struct TokenText<'a> {
    /// The whole text, which was checked. Each accessor returns a part of this text.
    text: &'a [u8],
    prefix_len: usize,
}

impl<'a> TokenText<'a> {
    /// Parses the text of a token. Any valid prefix is accepted.
    ///
    /// # Errors
    /// Returns the first of [`Rejection::Length`], `NotAscii`, `Prefix`, `Shape` and `Checksum`
    /// that applies.
    pub fn parse<T: AsRef<[u8]> + ?Sized>(text: &'a T) -> Result<Self, Rejection> {
        let text = bounded(text.as_ref()).map_err(|found| *found)?;
        Self::parse_any(text).map_err(|found| *first_of(found, text))
    }

    /// Parses the text of a token. Only the given prefixes are accepted.
    ///
    /// # Errors
    /// Returns [`Rejection::Prefix`] if the text starts with none of `prefixes`. Returns the other
    /// errors of [`parse`](Self::parse) under the same conditions as `parse`.
    #[inline(always)]
    pub(crate) fn parse_under(text: &'a [u8], prefixes: &[Prefix]) -> Result<Self, Refused> {
        let text = bounded(text)?;
        Self::parse_one_of(text, prefixes).map_err(|found| first_of(found, text))
    }

    fn parse_any(text: &'a [u8]) -> Result<Self, Refused> {
        let head = &text[..text.len() - FROM_ID];
        let prefix_len = head.iter().rposition(|byte| *byte == b'_').ok_or(&Rejection::Shape)?;
        if !Prefix::fits(&head[..prefix_len]) {
            return Err(&Rejection::Prefix);
        }
        let token = Self { text, prefix_len };
        if token.has_project() { token.checked() } else { Err(&Rejection::Shape) }
    }

    #[inline(always)]
    fn parse_one_of(text: &'a [u8], prefixes: &[Prefix]) -> Result<Self, Refused> {
        // One prefix may be the start of another. A project has no "_", so a valid project follows
        // at most one of the prefixes.
        let mut found = &Rejection::Prefix;
        for prefix in prefixes {
            let token = Self { text, prefix_len: prefix.as_bytes().len() };
            if !token.has_prefix(prefix) || text[token.prefix_len] != b'_' {
                continue;
            }
            if token.has_project() {
                return token.checked();
            }
            found = &Rejection::Shape;
        }
        Err(found)
    }

    /// Returns the token if the text after the project is well-formed and the checksum is correct.
    ///
    /// # Errors
    /// - Returns [`Rejection::Shape`] if a separator, the handle or the tail is malformed.
    /// - Returns [`Rejection::Checksum`] if the checksum is wrong.
    #[inline(always)]
    fn checked(self) -> Result<Self, Refused> {
        let text = self.text;
        let separated = text[text.len() - FROM_ID] == b'_' && text[text.len() - TAIL - 1] == b'_';
        // Checks the tail in whole vectors of 16 characters. The last two vectors overlap.
        let (tail, last) = (first::<48>(self.tail()), first::<16>(&self.tail()[TAIL - 16..]));
        let digits = [&self.handle()[..], tail, last];
        if !separated || !digits.into_iter().all(alphabet::all_base62) {
            return Err(&Rejection::Shape);
        }
        let body = &text[..text.len() - CRC];
        // Compares numbers instead of texts, because the processor can decode the presented
        // checksum while it computes the expected checksum.
        if alphabet::decode_last_6(first(&text[text.len() - 16..])) != u64::from(crc32fast::hash(body)) {
            return Err(&Rejection::Checksum);
        }
        Ok(self)
    }

    /// Returns the prefix.
    pub fn prefix(&self) -> Prefix {
        Prefix::from_checked(self.prefix_bytes())
    }

    /// Returns the project that the token claims to be for.
    #[inline(always)]
    pub fn project(&self) -> ProjectId {
        let (window, len) = self.project_window();
        ProjectId::of_window(window, len)
    }

    /// Returns the text that begins with the project, and the length of the project. The text that
    /// follows a project is longer than the longest project.
    #[inline(always)]
    pub(super) fn project_window(&self) -> (&'a [u8; ProjectId::MAX_LEN], usize) {
        let start = self.prefix_len + 1;
        (first(&self.text[start..]), (self.text.len() - FROM_ID).wrapping_sub(start))
    }

    /// Returns whether there is a valid project after the prefix.
    #[inline(always)]
    fn has_project(&self) -> bool {
        let (window, len) = self.project_window();
        ProjectId::begins_with_id(window, len)
    }

    /// Returns whether the token has this prefix, project and id.
    #[inline(always)]
    pub(crate) fn names(&self, prefix: &Prefix, project: &ProjectId, id: &TokenId) -> bool {
        let (window, len) = self.project_window();
        self.handle() == id.as_bytes() && project.is_begin_of(window, len) && self.has_prefix(prefix)
    }

    /// Returns whether the token has this prefix.
    #[inline(always)]
    pub(super) fn has_prefix(&self, prefix: &Prefix) -> bool {
        self.prefix_len == prefix.as_bytes().len() && prefix.begins(self.text)
    }

    /// Returns the public look-up id.
    #[inline]
    pub fn id(&self) -> TokenId {
        TokenId::from_checked(*self.handle())
    }

    /// Returns the public part: everything left of the last `_`. The public part may be logged and
    /// shown.
    pub fn public_part(&self) -> &'a str {
        alphabet::as_str(&self.text[..self.text.len() - TAIL - 1])
    }

    #[inline]
    pub(crate) fn prefix_bytes(&self) -> &'a [u8] {
        &self.text[..self.prefix_len]
    }

    #[inline]
    pub(crate) fn handle(&self) -> &'a [u8; TokenId::LEN] {
        first(&self.text[self.text.len() - FROM_ID + 1..])
    }

    #[inline]
    pub(crate) fn secret(&self) -> &'a [u8; SECRET] {
        first(self.tail())
    }

    #[inline]
    pub(crate) fn tag(&self) -> &'a [u8; TAG] {
        first(&self.tail()[SECRET..])
    }

    /// Returns 16 characters that begin with the tag.
    #[inline]
    pub(super) fn tag_window(&self) -> &'a [u8; 16] {
        first(&self.tail()[SECRET..])
    }

    #[inline]
    fn tail(&self) -> &'a [u8; TAIL] {
        first(&self.text[self.text.len() - TAIL..])
    }
}

/// Returns the first `N` bytes of a text that has at least `N` bytes.
#[inline]
fn first<const N: usize>(text: &[u8]) -> &[u8; N] {
    text.first_chunk().expect("a parsed token is at least MIN_LEN bytes long")
}

impl fmt::Debug for TokenText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenText({}_..)", self.public_part())
    }
}

/// Returns the text of the token that consists of these parts and ends with their checksum.
pub(crate) fn render(
    prefix: Prefix,
    project: &ProjectId,
    id: &TokenId,
    secret: &[u8; SECRET],
    tag: &[u8; TAG],
) -> String {
    // The capacity is exact. Growing or shrinking the buffer would leave copies of the secret in
    // memory.
    let len = prefix.as_bytes().len() + 1 + project.as_bytes().len() + FROM_ID;
    let mut text = Vec::with_capacity(len);
    for part in [prefix.as_bytes(), project.as_bytes(), id.as_bytes()] {
        text.extend_from_slice(part);
        text.push(b'_');
    }
    text.extend_from_slice(secret);
    text.extend_from_slice(tag);
    let crc = crc32fast::hash(&text);
    text.extend_from_slice(&alphabet::encode_u32(crc));
    String::from_utf8(text).expect("the parts of a token are ASCII")
}

#[inline]
fn bounded(text: &[u8]) -> Result<&[u8], Refused> {
    if !(MIN_LEN..=MAX_LEN).contains(&text.len()) {
        return Err(&Rejection::Length);
    }
    Ok(text)
}

/// Returns [`Rejection::NotAscii`] if the text has a byte outside ASCII, and `found` otherwise.
///
/// A text with a byte outside ASCII always fails another check too. So only texts that failed
/// another check are searched for such a byte.
#[cold]
fn first_of(found: Refused, text: &[u8]) -> Refused {
    // Two blocks, which overlap, cover each text whose length was checked. So the compiled code
    // needs no loop over a variable number of bytes.
    const BLOCK: usize = 64;
    const { assert!(BLOCK <= MIN_LEN && MAX_LEN <= 2 * BLOCK) }
    let (head, tail) = (first::<BLOCK>(text), first::<BLOCK>(&text[text.len() - BLOCK..]));
    let bits = (0..BLOCK).fold(0, |bits, at| bits | head[at] | tail[at]);
    if bits.is_ascii() { found } else { &Rejection::NotAscii }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o";

    #[test]
    fn lengths_are_those_of_the_grammar() {
        assert_eq!((MIN_LEN, MAX_LEN), (72, 121));
    }

    #[test]
    fn a_prefix_may_begin_another() {
        let prefixes = ["acme", "acme_pat"].map(|prefix| Prefix::new(prefix).unwrap());
        let token = TokenText::parse_under(TEXT.as_bytes(), &prefixes).unwrap();
        assert_eq!(token.prefix(), prefixes[1]);
        assert!(!token.has_prefix(&prefixes[0]) && token.has_prefix(&prefixes[1]));
        let rejection = TokenText::parse_under(TEXT.as_bytes(), &prefixes[..1]).unwrap_err();
        assert_eq!(*rejection, Rejection::Shape);
        let other = [Prefix::new("acme_test").unwrap()];
        assert_eq!(*TokenText::parse_under(TEXT.as_bytes(), &other).unwrap_err(), Rejection::Prefix);
    }

    #[test]
    fn parts_render_to_the_same_text() {
        let token = TokenText::parse(TEXT).unwrap();
        let text = render(token.prefix(), &token.project(), &token.id(), token.secret(), token.tag());
        assert_eq!(text, TEXT);
    }

    #[test]
    fn debug_shows_the_public_part_only() {
        let token = TokenText::parse(TEXT).unwrap();
        assert_eq!(format!("{token:?}"), "TokenText(acme_pat_145_00123456789ABCDE_..)");
    }
}
