//! The command `keys`: how many tokens use each key number.

use keyfob::keys::KeyUse;
use keyfob::{Clock, SystemClock};

use super::Failure;
use super::address::Address;
use super::progress::Progress;
use super::scan;

/// The number of key numbers: 0 for tokens without a pepper, and 1 to 61.
const NUMBERS: usize = 62;

/// Prints how many live and ended tokens use each key number.
///
/// The command changes nothing. So it counts a bound token whose issuer has ended as live until a
/// purge revokes it. `Tokens::key_use` revokes such tokens before it counts.
///
/// # Errors
/// Returns an error if the store fails.
pub async fn run(store: &Address, mut progress: Progress) -> Result<(), Failure> {
    let now = SystemClock.now();
    let mut uses = [KeyUse::default(); NUMBERS];
    let count = |record: keyfob::TokenRecord| {
        let of_key = &mut uses[usize::from(record.id.key_number().get())];
        *(if record.status(now).is_live() { &mut of_key.live } else { &mut of_key.ended }) += 1;
    };
    scan::records(store, &mut progress, count).await?;
    println!("key   live  ended");
    for (number, KeyUse { live, ended, .. }) in uses.iter().enumerate() {
        if live + ended > 0 {
            println!("{number:>3} {live:>6} {ended:>6}");
        }
    }
    println!(
        "a key can be retired when no live token uses it; a purge ends the tokens that are bound to an ended token"
    );
    Ok(())
}
