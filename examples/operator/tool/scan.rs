//! Reads all records of a store, one page after the other. The maintenance commands use it to count
//! without a change of the store.

use keyfob::TokenRecord;

use super::address::Address;
use super::engine::{self, Purpose};
use super::progress::Progress;
use super::side::{Page, Place};
use super::{Failure, context};

/// Calls a function with each record of the store.
///
/// # Errors
/// Returns an error if the store cannot be opened or fails, or if a record is corrupt. The error
/// names the record.
pub async fn records(
    store: &Address,
    progress: &mut Progress,
    mut each: impl FnMut(TokenRecord),
) -> Result<(), Failure> {
    let mut side = engine::side(store, Purpose::Existing).await?;
    progress.begin("read", side.count().await?);
    let (mut read, mut after) = (0, Some(Place::default()));
    while let Some(place) = after {
        let Page { rows, next } = side.page(&place).await?;
        after = next;
        read += rows.len() as u64;
        for row in rows {
            let record =
                row.record().map_err(|error| context(format!("cannot read the token {}", row.key()), error))?;
            each(record);
        }
        progress.set(read);
    }
    progress.end();
    Ok(())
}
