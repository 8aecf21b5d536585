//! The token's text: the grammar, written once.

use core::fmt;

use super::alphabet;
use super::error::Rejection;
use super::ids::{Prefix, ProjectId, TokenId};

/// Characters of the tail, all of it secret: 33 random ones, 11 of the tag, 6 of the checksum.
const SECRET: usize = 33;
const TAG: usize = 11;
const CRC: usize = 6;
const TAIL: usize = SECRET + TAG + CRC;
/// From the right end to the `_` before the id. Offsets from there are fixed, so parsing needs no search.
const FROM_ID: usize = 1 + TokenId::LEN + 1 + TAIL;
const MIN_LEN: usize = 2 + 1 + 1 + FROM_ID;
const MAX_LEN: usize = Prefix::MAX_LEN + 1 + ProjectId::MAX_LEN + FROM_ID;

/// The text of a token, taken apart: well-formed and with a right checksum, and nothing more.
///
/// This is what a client, an editor or a scanner can tell without a key. To verify, a service parses a
/// [`PresentedToken`](crate::PresentedToken) with its keyring, which also checks the tag.
///
/// # The grammar
/// It never changes for this shape.
/// ```text
/// token    = prefix "_" project "_" handle "_" tail        ASCII, 72 to 121 characters
/// prefix   = [a-z][a-z0-9]*(_[a-z0-9]+)*     2 to 20, chosen once by the service: acme_pat, acme_test_pat
/// project  = [0-9a-z]{1,32}                  the service's opaque, immutable project id ("145", a UUID without dashes)
/// handle   = 16 base62 characters            public look-up id, safe to log and show; its first is the key number:
///                                            '0' = unkeyed, '1' to 'z' = keys 1 to 61; 15 random ones (89 bits)
/// tail     = secret33 tag11 crc6             50 base62 characters. All left of the last "_" is public; all right of it is secret.
/// base62   = 0-9 A-Z a-z, in that order, most significant digit first, left-padded with '0'
///
/// subkey   = HMAC-SHA-256(pepper, "keyfob/1 " prefix)      the pepper of key 0 is the empty string
/// mac      = HMAC-SHA-256(subkey, handle secret project)   ASCII, no separators (the first two have fixed lengths)
/// tag      = base62 of the first 8 bytes of mac as a big-endian u64, 11 characters
/// crc      = base62 of CRC-32/ISO-HDLC over every ASCII byte before it, 6 characters
/// ```
/// The store holds the mac, all 32 bytes.
///
/// - One word: `_` and alphanumerics select whole on a double click and pass unquoted in a shell, a URL and a header.
/// - Two checks: anyone can tell a typo from a token by the CRC; the tag is keyed, so a forged token with a right CRC dies
///   in the process, before any store is asked.
/// - 196 random bits (RFC 6749 section 10.10 asks for 160), so a fast MAC is right and a password hash would only
///   hand attackers a denial of service.
/// - No time and no owner is readable in it. Project and id route and diagnose; they never authorise.
///
/// ```
/// use keyfob::TokenText;
///
/// let text = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o";
/// let token = TokenText::parse(text)?;
/// assert_eq!(token.prefix().as_str(), "acme_pat");
/// assert_eq!(token.project().as_str(), "145");
/// assert_eq!(token.id().as_str(), "00123456789ABCDE");
/// assert_eq!(token.public_part(), "acme_pat_145_00123456789ABCDE");
/// # Ok::<(), keyfob::Rejection>(())
/// ```
///
/// Which facts may leak through time: length, the public part, and whether the text is well-formed. The checksum
/// runs over the whole text by tables; it says nothing of what a store holds.
#[derive(Clone, Copy)]
pub struct TokenText<'a> {
    text: &'a [u8],
    prefix: Prefix,
    project: ProjectId,
    id: TokenId,
}

impl<'a> TokenText<'a> {
    /// Takes a text apart, whatever its prefix.
    ///
    /// # Errors
    /// The first of [`Rejection::Length`], `NotAscii`, `Prefix`, `Shape`, `Checksum` that holds.
    pub fn parse<T: AsRef<[u8]> + ?Sized>(text: &'a T) -> Result<Self, Rejection> {
        let text = bounded(text.as_ref())?;
        let head = &text[..text.len() - FROM_ID];
        let end = head.iter().rposition(|byte| *byte == b'_').ok_or(Rejection::Shape)?;
        let prefix = str::from_utf8(&head[..end]).ok().and_then(|prefix| Prefix::new(prefix).ok());
        Self::after_prefix(text, prefix.ok_or(Rejection::Prefix)?)
    }

    /// Takes a text apart that starts with one of `prefixes`.
    pub(crate) fn parse_under(text: &'a [u8], prefixes: &[Prefix]) -> Result<Self, Rejection> {
        let text = bounded(text)?;
        let head = &text[..text.len() - FROM_ID];
        // One prefix may begin another. The project holds no "_", so at most one leaves a project behind it.
        let mut found = Rejection::Prefix;
        for prefix in prefixes {
            let project = head.strip_prefix(prefix.as_bytes()).and_then(|rest| rest.strip_prefix(b"_"));
            let Some(project) = project else { continue };
            found = Rejection::Shape;
            if !project.contains(&b'_') {
                return Self::after_prefix(text, *prefix);
            }
        }
        Err(found)
    }

    fn after_prefix(text: &'a [u8], prefix: Prefix) -> Result<Self, Rejection> {
        let (head, rest) = text.split_at(text.len() - FROM_ID);
        let (id, tail) = rest.split_at(1 + TokenId::LEN);
        let project = head.get(prefix.as_bytes().len() + 1..).and_then(ProjectId::from_bytes);
        let id = id.strip_prefix(b"_").and_then(|id| TokenId::from_bytes(id.try_into().ok()?));
        let secret = tail.strip_prefix(b"_").filter(|tail| alphabet::all_base62(tail));
        let (Some(project), Some(id), Some(_)) = (project, id, secret) else {
            return Err(Rejection::Shape);
        };
        let (body, crc) = text.split_at(text.len() - CRC);
        if alphabet::encode_u32(crc32fast::hash(body)) != crc {
            return Err(Rejection::Checksum);
        }
        Ok(Self { text, prefix, project, id })
    }

    /// The leading marker.
    pub fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// The project that the token says it is for.
    pub fn project(&self) -> ProjectId {
        self.project
    }

    /// The public look-up id.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// All left of the last `_`: what may be logged and shown.
    pub fn public_part(&self) -> &'a str {
        str::from_utf8(&self.text[..self.text.len() - TAIL - 1]).unwrap_or_default()
    }

    pub(crate) fn secret(&self) -> &'a [u8; SECRET] {
        let tail = &self.text[self.text.len() - TAIL..];
        tail.first_chunk().unwrap_or(&[0; SECRET])
    }

    pub(crate) fn tag(&self) -> &'a [u8; TAG] {
        let tag_crc = &self.text[self.text.len() - TAG - CRC..];
        tag_crc.first_chunk().unwrap_or(&[0; TAG])
    }
}

impl fmt::Debug for TokenText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenText({}_..)", self.public_part())
    }
}

/// The text of a token from its parts, with its checksum.
pub(crate) fn render(
    prefix: Prefix,
    project: &ProjectId,
    id: &TokenId,
    secret: &[u8; SECRET],
    tag: &[u8; TAG],
) -> String {
    // Room for all of it at once: growing would leave copies of the secret behind.
    let mut text = Vec::with_capacity(MAX_LEN);
    for part in [prefix.as_bytes(), project.as_bytes(), id.as_bytes()] {
        text.extend_from_slice(part);
        text.push(b'_');
    }
    text.extend_from_slice(secret);
    text.extend_from_slice(tag);
    let crc = crc32fast::hash(&text);
    text.extend_from_slice(&alphabet::encode_u32(crc));
    String::from_utf8(text).unwrap_or_default()
}

fn bounded(text: &[u8]) -> Result<&[u8], Rejection> {
    if !(MIN_LEN..=MAX_LEN).contains(&text.len()) {
        return Err(Rejection::Length);
    }
    if !text.is_ascii() {
        return Err(Rejection::NotAscii);
    }
    Ok(text)
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
        let rejection = TokenText::parse_under(TEXT.as_bytes(), &prefixes[..1]).unwrap_err();
        assert_eq!(rejection, Rejection::Shape);
        let other = [Prefix::new("acme_test").unwrap()];
        assert_eq!(TokenText::parse_under(TEXT.as_bytes(), &other).unwrap_err(), Rejection::Prefix);
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
