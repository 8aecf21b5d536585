//! The code that the fuzz targets share: generators of arbitrary values, and a second
//! implementation of the token grammar that is independent of the library.

pub mod address;

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use keyfob::{
    Issued, Keyring, NewToken, Pepper, Policy, Prefix, Timestamp, TokenKey, TokenKind, TokenRecord,
    keys::KeyNumber,
    notices::NoticeLead,
    record::{Digest, Disabled, ImportScheme, Issuer, Revocation, RevocationReason, UsedFrom, mint_with},
    text::TokenText,
};

/// The digits of base62.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The number of characters of the checksum, which is at the end of a token.
const CRC: usize = 6;
/// The number of characters of the tag, which is directly before the checksum of a token.
const TAG: usize = 11;

/// Returns whether a text is a token. This function follows the grammar in the documentation of
/// [`TokenText`] and calls no code of the library.
pub fn is_token(text: &[u8]) -> bool {
    let parts: Vec<&[u8]> = text.rsplitn(4, |byte| *byte == b'_').collect();
    let [tail, id, project, prefix] = parts[..] else { return false };
    let lower = |part: &[u8]| !part.is_empty() && part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z'));
    let base62 = |part: &[u8]| part.iter().all(|byte| DIGITS.contains(byte));
    base62(tail)
        && tail.len() == 50
        && base62(id)
        && id.len() == 16
        && lower(project)
        && project.len() <= 32
        && (2..=20).contains(&prefix.len())
        && prefix.split(|byte| *byte == b'_').all(lower)
        && !prefix[0].is_ascii_digit()
        && with_crc(text.to_vec()) == text
}

/// Replaces the last six bytes of the text with the right checksum, and returns the text. Returns a
/// text of fewer than six bytes unchanged.
pub fn with_crc(mut text: Vec<u8>) -> Vec<u8> {
    if let Some(body) = text.len().checked_sub(CRC) {
        let crc = crc32(&text[..body]);
        text[body..].copy_from_slice(&base62::<CRC>(crc.into()));
    }
    text
}

/// Replaces the tag of the text with the tag that this keyring expects, corrects the checksum, and
/// returns the text. Returns `None` if the text is not a token, or if the keyring has no key for
/// the token.
pub fn with_tag(mut text: Vec<u8>, keyring: &Keyring) -> Option<Vec<u8>> {
    let tag = expected_tag(&TokenText::parse(&text).ok()?, keyring)?;
    let at = text.len() - CRC - TAG;
    text[at..at + TAG].copy_from_slice(&tag);
    Some(with_crc(text))
}

/// Returns the tag that this keyring expects in a token, or `None` if the keyring has no key for
/// the token.
pub fn expected_tag(token: &TokenText<'_>, keyring: &Keyring) -> Option<[u8; TAG]> {
    let digest = keyring.digest(token).ok()?;
    let first = digest.as_bytes().first_chunk().expect("32 bytes");
    Some(base62(u64::from_be_bytes(*first)))
}

/// Returns the last `N` base62 digits of a number, with leading zeros.
fn base62<const N: usize>(mut value: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(value % 62) as usize];
        value /= 62;
    }
    digits
}

/// Returns the checksum CRC-32/ISO-HDLC of these bytes. Computes it bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// A prefix and a project id that both have the maximum valid length.
const LONGEST: (&str, &str) = ("abcdefghijklmnopqrst", "5f0c6a1e9b7d4c3a8e2f1b0d6c5a4e3f");

/// A keyring with three prefixes and the keys 1 and 61. One of the prefixes is the beginning of
/// another prefix. The keyring accepts only tokens that were issued with a pepper.
pub static KEYED: LazyLock<Keyring> = LazyLock::new(|| {
    let builder = Keyring::builder(prefix("acme_pat")).accept_prefix(prefix("acme")).accept_prefix(prefix(LONGEST.0));
    let builder = builder.verify_with(KeyNumber::MAX, pepper(2)).mint_with(KeyNumber::FIRST, pepper(1));
    builder.build().expect("a keyring")
});
/// A keyring without a pepper.
pub static UNKEYED: LazyLock<Keyring> = LazyLock::new(|| Keyring::unkeyed(prefix("acme_pat")));

/// Five tokens that [`KEYED`] accepts. The first two have the same prefix and the same project. The
/// third has another project, and the fourth has another prefix. The fifth has the maximum length,
/// 121 characters.
pub static ISSUED: LazyLock<Vec<Issued>> = LazyLock::new(|| {
    let under =
        |text| Keyring::builder(prefix(text)).mint_with(KeyNumber::FIRST, pepper(1)).build().expect("a keyring");
    let (other, longest) = (under("acme"), under(LONGEST.0));
    let kinds = [(&*KEYED, "145"), (&KEYED, "145"), (&KEYED, "0"), (&other, "145"), (&longest, LONGEST.1)];
    let mint = |(seed, (keyring, id)): (usize, (&Keyring, &str))| {
        let new = NewToken::new(text(id), text("ada"), text("CI"));
        mint_with(&mut Counter(seed as u8), keyring, &Policy::default(), new, &text("ada"), now()).expect("a token")
    };
    kinds.into_iter().enumerate().map(mint).collect()
});

/// Returns a fixed time. Most times that [`time`] generates are close to it.
pub fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

fn prefix(text: &str) -> Prefix {
    Prefix::new(text).expect("a prefix")
}

fn pepper(seed: u8) -> Pepper {
    Pepper::new((seed..seed + 32).collect()).expect("a pepper")
}

/// A generator of predictable bytes, so that a crash can be reproduced.
struct Counter(u8);

impl rand_core::TryRng for Counter {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> core::result::Result<u32, Self::Error> {
        unreachable!("the library draws bytes")
    }
    fn try_next_u64(&mut self) -> core::result::Result<u64, Self::Error> {
        unreachable!("the library draws bytes")
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> core::result::Result<(), Self::Error> {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(5).wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Counter {}

/// Returns a text that has the form of a token, but an arbitrary tag and an arbitrary checksum.
pub fn shaped(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let lower: Vec<u8> = (b'0'..=b'9').chain(b'a'..=b'z').collect();
    let mut text = u.choose(&["acme_pat", "acme", "k9", LONGEST.0])?.as_bytes().to_vec();
    text.push(b'_');
    for _ in 0..u.int_in_range(1..=32)? {
        text.push(*u.choose(&lower)?);
    }
    text.push(b'_');
    text.push(*u.choose(b"01z2")?);
    for _ in 0..15 {
        text.push(*u.choose(DIGITS)?);
    }
    text.push(b'_');
    for _ in 0..50 {
        text.push(*u.choose(DIGITS)?);
    }
    Ok(text)
}

/// Returns a record with arbitrary fields. The values of the fields are valid for their types, and
/// a store can hold them.
pub fn record(u: &mut Unstructured<'_>) -> Result<TokenRecord> {
    let key = TokenKey { project: any(u, "145")?, id: any(u, "1000000000000000")? };
    let (prefix, digest) = (any(u, "acme_pat")?, Digest::from_bytes(u.arbitrary()?));
    let mut record = TokenRecord::new(key, prefix, digest, any(u, "ada")?, any(u, "CI")?, time(u)?);
    record.kind = *u.choose(TokenKind::ALL)?;
    record.scopes = any(u, "repo:*")?;
    record.metadata = any(u, "{}")?;
    record.addresses = any(u, "10.0.0.0/8 2001:db8::/32")?;
    record.created_by = any(u, "ada")?;
    record.issuer = maybe(u, |u| Ok(Issuer { id: any(u, "1000000000000003")?, bound: u.arbitrary()? }))?;
    record.confirm_by = maybe(u, time)?;
    record.not_before = maybe(u, time)?;
    record.expires_at = maybe(u, time)?;
    record.last_used_at = maybe(u, time)?;
    record.last_used_from =
        maybe(u, |u| Ok(UsedFrom { address: maybe(u, |u| u.arbitrary())?, client: maybe(u, |u| any(u, "git"))? }))?;
    record.disabled = maybe(u, |u| Ok(Disabled { at: time(u)?, by: any(u, "ada")? }))?;
    record.revoked =
        maybe(u, |u| Ok(Revocation { at: time(u)?, by: any(u, "ada")?, reason: *u.choose(RevocationReason::ALL)? }))?;
    record.family = any(u, "1000000000000000")?;
    record.rotated_from = maybe(u, |u| any(u, "1000000000000001"))?;
    record.rotated_to = maybe(u, |u| any(u, "1000000000000002"))?;
    record.grace_until = maybe(u, time)?;
    record.request_id = maybe(u, |u| any(u, "request"))?;
    record.notice_lead = maybe(u, |u| Ok(*u.choose(&NoticeLead::ALL)?))?;
    record.notice_lease_until = maybe(u, time)?;
    record.notice_leases = u.arbitrary()?;
    record.import_scheme = if u.ratio(1, 8)? { ImportScheme::new("blake3", "", u.arbitrary()?).ok() } else { None };
    record.version = u.int_in_range(1..=TokenRecord::MAX_VERSION)?;
    Ok(record)
}

/// Returns an arbitrary time. Seven of eight times differ from [`now`] by at most 2 ms, so that
/// they are often exactly at a bound.
pub fn time(u: &mut Unstructured<'_>) -> Result<Timestamp> {
    let base = now().as_unix_millis();
    let millis = if u.ratio(7, 8)? { base + u.int_in_range(-2..=2)? } else { u.arbitrary()? };
    Ok(Timestamp::from_unix_millis(millis).unwrap_or(Timestamp::MAX))
}

/// Returns a value that is parsed from a text. In about half of the cases, the text comes from the
/// fuzzer. Otherwise, or if the fuzzer's text is not valid for the type, the text is `usual`.
pub fn any<T: for<'a> TryFrom<&'a str>>(u: &mut Unstructured<'_>, usual: &str) -> Result<T> {
    let found = if u.arbitrary()? { T::try_from(u.arbitrary()?).ok() } else { None };
    Ok(found.unwrap_or_else(|| text(usual)))
}

/// Returns a value from the generator `value`, or `None`. The fuzzer's data decide which.
pub fn maybe<T>(u: &mut Unstructured<'_>, value: impl FnOnce(&mut Unstructured<'_>) -> Result<T>) -> Result<Option<T>> {
    if u.arbitrary()? { value(u).map(Some) } else { Ok(None) }
}

/// Returns the value that is parsed from this text. Panics if the text is not valid for the type.
fn text<T: for<'a> TryFrom<&'a str>>(usual: &str) -> T {
    T::try_from(usual).unwrap_or_else(|_| panic!("{usual} is not valid for its type"))
}
