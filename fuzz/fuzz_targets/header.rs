//! Fuzzes the reading of a credential from headers.
//!
//! The fuzz target checks these properties:
//!
//! - A credential is read only if there is exactly one header value. The credential is a part of
//!   this value. With the scheme Basic, it is a part of the bytes that the value encodes as base64:
//!   the user name or the password.
//! - If a credential parses as a token, it is the canonical text of this token.
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

/// A header value, and the token that must be found in the header value, if there is one.
struct Value {
    /// The bytes of the header value.
    bytes: Vec<u8>,
    token: Option<&'static str>,
}

fuzz_target!(|data: &[u8]| {
    let mut u = Unstructured::new(data);
    let Ok((authorization, api_key)) = headers(&mut u) else { return };
    let bytes = |values: &[Value]| values.iter().map(|value| value.bytes.clone()).collect::<Vec<_>>();
    let (first, second) = (bytes(&authorization), bytes(&api_key));
    let sent: Vec<&Value> = authorization.iter().chain(&api_key).collect();
    let wanted = if let [only] = sent[..] { only.token } else { None };
    let places = CredentialPlaces::new().with_header("x-api-key").unwrap();
    let values = |name: &str| if name == "authorization" { first.iter() } else { second.iter() }.map(Vec::as_slice);
    let found = places.find(values, |text| KEYED.recognizes(text));
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
    Ok(match u.int_in_range(0..=7)? {
        0 => (Vec::new(), vec![value(u, 0)?]),
        1 => (vec![value(u, 1)?, value(u, 2)?], Vec::new()),
        2 => (vec![value(u, 1)?], vec![value(u, 0)?]),
        3 => (Vec::new(), vec![value(u, 0)?, value(u, 0)?]),
        4 | 5 => (vec![value(u, 1)?], Vec::new()),
        _ => (vec![value(u, 2)?], Vec::new()),
    })
}

/// Returns a header value: arbitrary bytes, or a token with a few characters around it.
///
/// If `way` is 0, the value has no authentication scheme. If `way` is 1, the scheme is Bearer. If
/// `way` is 2, the scheme is Basic. In some values, one byte is replaced.
fn value(u: &mut Unstructured<'_>, way: u8) -> Result<Value> {
    if u.ratio(1, 4)? {
        return Ok(Value { bytes: <&[u8]>::arbitrary(u)?.to_vec(), token: None });
    }
    let token = u.choose(&ISSUED)?.token.expose_secret();
    let mut bytes = [around(u)?.as_bytes(), token.as_bytes(), around(u)?.as_bytes()].concat();
    if way == 2 {
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
        scheme.push(*u.choose(b" \t")?);
    }
    scheme.extend(bytes);
    let mut value = Value { bytes: scheme, token: Some(token) };
    // The library reads no value of more than 8 KiB. So a longer value has no token that must be
    // found.
    if u.ratio(1, 4)? || value.bytes.len() > 8192 {
        let at = u.choose_index(value.bytes.len())?;
        value.bytes[at] = u.arbitrary()?;
        value.token = None;
    }
    Ok(value)
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

/// Decodes the base64 text that begins after the first white space of a header value.
fn decoded(value: &[u8]) -> Vec<u8> {
    let (mut bits, mut held, mut bytes) = (0u32, 0, Vec::new());
    let encoded = value.trim_ascii().iter().skip_while(|byte| !byte.is_ascii_whitespace());
    for digit in encoded.filter_map(|byte| BASE64.iter().position(|digit| digit == byte)) {
        (bits, held) = (bits << 6 | digit as u32, held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}
