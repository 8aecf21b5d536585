//! The keys of the keyring, and how many tokens use each one.
//!
//! Counting reads every token, so the counts are kept for a minute.

use std::time::Duration;

use keyfob::{Timestamp, keys::KeyNumber};
use tokio::sync::Mutex;

use crate::app::App;
use crate::key_checks;
use crate::setup::SetupError;

/// The time for which counts are kept.
pub const KEPT: Duration = Duration::from_secs(60);

/// A key, and the tokens that use it.
#[derive(Clone, Debug)]
pub struct Key {
    pub number: KeyNumber,
    /// Whether new tokens use the key.
    pub mints: bool,
    /// Whether this process holds the key.
    pub is_held: bool,
    /// Whether a check value of the key is stored.
    pub is_checked: bool,
    /// The number of tokens that work or can work again.
    pub live: u64,
    /// The number of tokens that have ended and are not deleted yet.
    pub ended: u64,
}

/// The counts of one moment.
#[derive(Clone, Debug)]
pub struct Counted {
    pub at: Timestamp,
    pub keys: Vec<Key>,
}

/// The latest counts.
#[derive(Default)]
pub struct KeyCounts {
    last: Mutex<Option<Counted>>,
}

impl KeyCounts {
    /// Returns the counts, which are at most [`KEPT`] old. If several requests need new counts at
    /// the same time, only one of them counts.
    ///
    /// # Errors
    /// Returns an error if a database fails.
    pub async fn get(&self, app: &App) -> Result<Counted, SetupError> {
        let mut last = self.last.lock().await;
        let now = app.tokens.now();
        if let Some(counted) =
            last.as_ref().filter(|counted| now >= counted.at && now.saturating_since(counted.at) < KEPT)
        {
            return Ok(counted.clone());
        }
        let (keyring, checked) = (app.tokens.keyring(), key_checks::numbers(&app.db).await?);
        let mut keys = Vec::new();
        for number in (0..=KeyNumber::MAX.get()).filter_map(|number| KeyNumber::new(number).ok()) {
            let (is_held, is_checked) = (keyring.holds(number), checked.contains(&number));
            if is_held || is_checked {
                let used = app.tokens.key_use(number).await?;
                let mints = keyring.minting_key() == number;
                keys.push(Key { number, mints, is_held, is_checked, live: used.live, ended: used.ended });
            }
        }
        let counted = Counted { at: now, keys };
        *last = Some(counted.clone());
        Ok(counted)
    }
}
