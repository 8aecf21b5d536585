//! Fuzzes the serde support: records survive a round trip, no JSON causes a panic, and no output of
//! a record depends on its digest.
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

fn made(u: &mut Unstructured<'_>) -> Result<()> {
    let record = record(u)?;
    let mut json = serde_json::to_value(&record).unwrap();
    // No store can hold a version above the maximum, so deserializing must fail.
    json["version"] = u.int_in_range(TokenRecord::MAX_VERSION + 1..=u64::MAX)?.into();
    assert!(serde_json::from_value::<TokenRecord>(json.clone()).is_err());
    json["version"] = record.version.into();
    assert_eq!(serde_json::from_value::<TokenRecord>(json.clone()).unwrap(), record);
    // Both sources are read, because JSON text gives borrowed strings and a JSON value owned ones.
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<TokenRecord>(&text).unwrap(), record);
    shows_no_digest(&record, u)?;

    // One field, or a field of a nested object such as `revoked`, gets a value that often has
    // another type.
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

/// Asserts that an accepted record is equal after a round trip, and is always written in the same
/// way.
fn reread(read: serde_json::Result<TokenRecord>) {
    let Ok(record) = read else { return };
    assert!((1..=TokenRecord::MAX_VERSION).contains(&record.version));
    let text = serde_json::to_string(&record).unwrap();
    let again: TokenRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(again, record);
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}

/// Asserts that the JSON of a view and the `Debug` of a record do not depend on the digest.
///
/// A search for the text of the digest would prove less, because a name may contain it by chance.
fn shows_no_digest(record: &TokenRecord, u: &mut Unstructured<'_>) -> Result<()> {
    let mut other = record.clone();
    other.digest = Digest::from_bytes(u.arbitrary()?);
    let now = time(u)?;
    let json = |record: &TokenRecord| serde_json::to_string(&record.view(now)).unwrap();
    assert_eq!(json(record), json(&other));
    assert_eq!(format!("{record:?}"), format!("{other:?}"));
    Ok(())
}
