//! Fuzzes the reading of a credential from headers.
//!
//! The fuzz target checks these properties:
//!
//! - A credential is read only if there is exactly one header value. The credential is a part of
//!   this value. With the scheme Basic, it is a part of the bytes that the value encodes as base64:
//!   the user name or the password.
//! - If a credential parses as a token, it is the canonical text of this token.
//! - A text that begins with the prefix of a token is never left to another authentication, in any
//!   place, for any text after the prefix, and beside any other header.
//! - A token is found even if it is surrounded by quotes, spaces or other characters. Clients add
//!   such characters, and pasted texts contain them.
#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use keyfob::http::{CredentialPlaces, FoundCredential};
use keyfob::{PlaintextToken, PresentedToken};
use keyfob_fuzz::{ISSUED, KEYED, is_token};
use libfuzzer_sys::fuzz_target;

/// Characters that may surround a token.
const AROUND: [&str; 19] = [
    " ", "\t", "\r", "\n", "\"", "'", "`", "<", ">", ",", ";", "\u{a0}", "\u{200b}", "\u{2060}", "\u{feff}", "‘", "’",
    "“", "”",
];
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A header value, and what must be found in it.
struct Value {
    /// The bytes of the header value.
    bytes: Vec<u8>,
    /// The token that must be found, if there is one.
    token: Option<&'static str>,
    /// Whether the value has a text that begins with the prefix, so that the service must judge it.
    is_credential: bool,
}

fuzz_target!(|data: &[u8]| {
    let mut u = Unstructured::new(data);
    let Ok((authorization, api_key)) = headers(&mut u) else { return };
    let bytes = |values: &[Value]| values.iter().map(|value| value.bytes.clone()).collect::<Vec<_>>();
    let (first, second) = (bytes(&authorization), bytes(&api_key));
    let sent: Vec<&Value> = authorization.iter().chain(&api_key).collect();
    let wanted = if let [only] = sent[..] { only.token } else { None };
    let places = CredentialPlaces::new().with_header("x-api-key").unwrap().with_bare_token();
    let values = |name: &str| if name == "authorization" { first.iter() } else { second.iter() }.map(Vec::as_slice);
    let found = places.find(values, |text| KEYED.recognizes(text));
    if sent.iter().any(|value| value.is_credential) {
        assert!(!matches!(found, Ok(FoundCredential::Other(_))), "a credential was passed on");
    }
    let Ok(credential) = found.and_then(FoundCredential::judged) else {
        return assert!(wanted.is_none(), "a wrapped token was not found");
    };
    assert_eq!(format!("{credential:?}"), "Credential(..)");
    let [only] = sent[..] else { panic!("a credential was read from several headers") };
    let found = credential.as_ref();
    let within = |whole: &[u8]| whole.windows(found.len()).any(|part| part == found);
    assert!(!found.is_empty() && (within(&only.bytes) || within(&decoded(&only.bytes))));
    if let Some(token) = wanted {
        assert_eq!(found, token.as_bytes());
    }
    match PresentedToken::parse(&credential, &KEYED) {
        Ok(_) => {
            assert!(is_token(found));
            let again: PlaintextToken = str::from_utf8(found).unwrap().parse().unwrap();
            assert_eq!(again.expose_secret().as_bytes(), found);
        }
        Err(rejection) => assert!(wanted.is_none(), "a wrapped token was rejected: {rejection}"),
    }
});

/// Returns the values of the headers `Authorization` and `X-API-Key`. In most cases, there is only
/// one value in total.
fn headers(u: &mut Unstructured<'_>) -> Result<(Vec<Value>, Vec<Value>)> {
    Ok(match u.int_in_range(0..=8)? {
        0 => (Vec::new(), vec![value(u, 0)?]),
        1 => (vec![value(u, 1)?, value(u, 2)?], Vec::new()),
        2 => (vec![value(u, 1)?], vec![value(u, 0)?]),
        3 => (Vec::new(), vec![value(u, 0)?, value(u, 0)?]),
        4 | 5 => (vec![value(u, 1)?], Vec::new()),
        6 => (vec![value(u, 0)?], Vec::new()),
        _ => (vec![value(u, 2)?], Vec::new()),
    })
}

/// Returns a header value: arbitrary bytes, or a token with a few characters around it, or a text
/// that only begins like a token.
///
/// If `way` is 0, the value has no authentication scheme. If `way` is 1, the scheme is Bearer. If
/// `way` is 2, the scheme is Basic. In some values, one byte is replaced.
fn value(u: &mut Unstructured<'_>, way: u8) -> Result<Value> {
    if u.ratio(1, 4)? {
        return Ok(Value { bytes: <&[u8]>::arbitrary(u)?.to_vec(), token: None, is_credential: false });
    }
    let token = u.choose(&ISSUED)?.token.expose_secret();
    let is_token = u.ratio(2, 3)?;
    let text = if is_token { token.as_bytes().to_vec() } else { mangled(u)? };
    let mut bytes = [around(u)?.as_bytes(), &text, around(u)?.as_bytes()].concat();
    // Without a colon, the base64 text is no credential of the scheme Basic, but it is not passed
    // on.
    let is_cut = way == 2 && !is_token && u.arbitrary()?;
    if is_cut {
        bytes = encoded(&bytes, u.arbitrary()?);
        bytes.truncate(u.int_in_range(1..=bytes.len())?);
    } else if way == 2 {
        let other: &[u8] = u.arbitrary()?;
        // A colon ends the user name, and a second token is refused.
        let other: Vec<u8> = other.iter().copied().filter(|byte| !b":_".contains(byte)).collect();
        let (first, second) = if u.arbitrary()? { (bytes, other) } else { (other, bytes) };
        bytes = [&first[..], b":", &second].concat();
        bytes = encoded(&bytes, u.arbitrary()?);
    }
    let mut scheme = ["", "bearer", "basic"][usize::from(way)].to_owned().into_bytes();
    let upper: u8 = u.arbitrary()?;
    (0..scheme.len()).filter(|at| upper >> at & 1 == 1).for_each(|at| scheme[at].make_ascii_uppercase());
    if way > 0 {
        scheme.extend(u.choose(&[" ", "\t", "\u{a0}"])?.as_bytes());
    }
    scheme.extend(bytes);
    let mut value = Value { bytes: scheme, token: Some(token).filter(|_| is_token), is_credential: true };
    // The library reads no value of more than 8 KiB. So a longer value has no token that must be
    // found.
    if u.ratio(1, 4)? || value.bytes.len() > 8192 {
        let at = u.choose_index(value.bytes.len())?;
        value.bytes[at] = u.arbitrary()?;
        (value.token, value.is_credential) = (None, false);
    }
    Ok(value)
}

/// Returns a text that begins with the prefix and `_`. Other bytes follow, but no colon, which
/// would end a user name.
fn mangled(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let rest: &[u8] = u.arbitrary()?;
    let rest = rest.iter().copied().filter(|byte| *byte != b':');
    Ok(KEYED.prefix().as_str().bytes().chain([b'_']).chain(rest).collect())
}

/// Returns up to four of the characters that may surround a token.
fn around(u: &mut Unstructured<'_>) -> Result<String> {
    (0..u.int_in_range(0..=4)?).map(|_| u.choose(&AROUND).copied()).collect()
}

/// Encodes bytes as base64.
fn encoded(bytes: &[u8], padded: bool) -> Vec<u8> {
    let mut text = Vec::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        text.extend((0..=chunk.len()).map(|at| BASE64[bits >> (18 - 6 * at) & 63]));
        text.extend((chunk.len()..3).filter(|_| padded).map(|_| b'='));
    }
    text
}

/// Decodes the base64 text after the name of the scheme Basic in a header value.
fn decoded(value: &[u8]) -> Vec<u8> {
    let (mut bits, mut held, mut bytes) = (0u32, 0, Vec::new());
    let scheme = value.windows(5).position(|name| name.eq_ignore_ascii_case(b"basic"));
    let encoded = scheme.map_or(&b""[..], |at| &value[at + 5..]);
    for digit in encoded.iter().filter_map(|byte| BASE64.iter().position(|digit| digit == byte)) {
        (bits, held) = (bits << 6 | digit as u32, held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}
