//! The command `purge`: deletes the records of tokens that ended long ago.

use std::time::Duration;

use keyfob::{Clock, Keyring, Prefix, SystemClock, Tokens};

use super::address::Address;
use super::progress::Progress;
use super::{Failure, context, engine, scan};

/// Purges the store, or prints what a purge would delete.
///
/// # Errors
/// Returns an error if the store fails. The purge of the other projects is done then.
pub async fn run(store: &Address, kept: Duration, dry_run: bool, mut progress: Progress) -> Result<(), Failure> {
    if !dry_run {
        let tokens = Tokens::new(unkeyed()?, engine::store(store).await?);
        let purged = tokens.purge(kept).await;
        let count = purged.map_err(|error| context("the purge is not complete (repeat it)", error))?;
        println!("{count} records deleted");
        return Ok(());
    }
    let now = SystemClock.now();
    let cut = now.saturating_sub(kept);
    let (mut count, mut bound, mut projects, mut last) = (0u64, 0u64, 0u64, None);
    let ended = |record: keyfob::TokenRecord| {
        bound += u64::from(record.issuer.is_some_and(|issuer| issuer.bound) && record.can_still_work(now));
        if record.ends_at().is_some_and(|end| end < cut) {
            count += 1;
            // The records come in the order of their projects.
            projects += u64::from(last.replace(record.project) != Some(record.project));
        }
    };
    scan::records(store, &mut progress, ended).await?;
    println!("a purge would delete {count} records in {projects} projects");
    if bound > 0 {
        println!("{bound} bound tokens can still work; a purge would revoke those whose issuer has ended");
    }
    Ok(())
}

/// Returns a keyring for operations that name tokens only by their keys. They need no pepper, and
/// the prefix does not matter.
pub fn unkeyed() -> Result<Keyring, Failure> {
    Ok(Keyring::unkeyed(Prefix::new("operator")?))
}
