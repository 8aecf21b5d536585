//! Fuzzes the serde support of records.
//!
//! A record that is serialized and then deserialized must be equal to the original record. No JSON
//! text may cause a panic. Neither the JSON of a record's view nor the `Debug` text of the record
//! may depend on the digest.
#![no_main]

use arbitrary::{Result, Unstructured};
use keyfob::{TokenRecord, record::Digest};
use keyfob_fuzz::{record, time};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    reread(serde_json::from_slice(data));
    let _ = made(&mut Unstructured::new(data));
});

/// Asserts that an arbitrary record stays equal if it is written as JSON and read back. Then
/// changes one field of the JSON. Checks with [`reread`] that the changed JSON is either refused or
/// read without loss.
fn made(u: &mut Unstructured<'_>) -> Result<()> {
    let record = record(u)?;
    let mut json = serde_json::to_value(&record).unwrap();
    // No store can hold a record with a version above the maximum, so deserializing must fail.
    json["version"] = u.int_in_range(TokenRecord::MAX_VERSION + 1..=u64::MAX)?.into();
    assert!(serde_json::from_value::<TokenRecord>(json.clone()).is_err());
    json["version"] = record.version.into();
    assert_eq!(serde_json::from_value::<TokenRecord>(json.clone()).unwrap(), record);
    // The record is read from a JSON value and from a JSON text. A JSON value passes owned strings
    // to the deserializer, and a text passes borrowed strings.
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<TokenRecord>(&text).unwrap(), record);
    shows_no_digest(&record, u)?;

    // One field gets a new value, which often has a wrong type. It may also be a field of a nested
    // object such as `revoked`.
    let mut fields = json.as_object_mut().unwrap();
    let at = u.choose_index(fields.len())?;
    let mut field = fields.values_mut().nth(at).unwrap();
    while let Value::Object(within) = field {
        fields = within;
        let at = u.choose_index(fields.len())?;
        field = fields.values_mut().nth(at).unwrap();
    }
    *field = match u.int_in_range(0..=3)? {
        0 => Value::Null,
        1 => Value::from(u.arbitrary::<i64>()?),
        2 => Value::Array(Vec::new()),
        _ => Value::from(u.arbitrary::<&str>()?),
    };
    reread(serde_json::from_value(json.clone()));
    reread(serde_json::from_str(&json.to_string()));
    Ok(())
}

/// Asserts that a deserialized record stays equal if it is serialized and deserialized again, and
/// that both serializations are the same text. Ignores JSON that could not be deserialized.
fn reread(read: serde_json::Result<TokenRecord>) {
    let Ok(record) = read else { return };
    assert!((1..=TokenRecord::MAX_VERSION).contains(&record.version));
    let text = serde_json::to_string(&record).unwrap();
    let again: TokenRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(again, record);
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}

/// Asserts that the JSON of a record's view and the `Debug` text of the record do not depend on the
/// digest.
///
/// The function replaces the digest and compares the outputs. It does not search the outputs for
/// the digest, because a name may contain the same text by chance.
fn shows_no_digest(record: &TokenRecord, u: &mut Unstructured<'_>) -> Result<()> {
    let mut other = record.clone();
    other.digest = Digest::from_bytes(u.arbitrary()?);
    let now = time(u)?;
    let json = |record: &TokenRecord| serde_json::to_string(&record.view(now)).unwrap();
    assert_eq!(json(record), json(&other));
    assert_eq!(format!("{record:?}"), format!("{other:?}"));
    Ok(())
}
