//! The keys that GitHub signs with.

use core::error::Error;
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde::Deserialize;

use crate::leak::report::ReportError;

/// The public keys by which GitHub's secret scanning signs, as it publishes them. Fetch them at [`ADDRESS`](Self::ADDRESS), at the start,
/// each day, and when a report names one that is not known or not in use ([`ReportError::is_about_keys`]), but then not more than once in some
/// minutes: anybody can name one, and GitHub answers 60 such questions in an hour. Until then one that GitHub has withdrawn is believed.
#[derive(Clone, Debug, Default)]
pub struct GitHubKeys {
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    id: String,
    key: VerifyingKey,
    is_current: bool,
}

#[derive(Deserialize)]
struct Published {
    public_keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    key_identifier: String,
    key: String,
    is_current: bool,
}

impl GitHubKeys {
    /// Where GitHub publishes them.
    pub const ADDRESS: &str = "https://api.github.com/meta/public_keys/secret_scanning";

    /// Reads what is answered there. Keys of other kinds than those of the curve P-256 are left out.
    ///
    /// # Errors
    /// [`GitHubKeysError`] where it is not such an answer, or no key is left.
    pub fn from_json(answer: &[u8]) -> Result<Self, GitHubKeysError> {
        let published: Published = serde_json::from_slice(answer).map_err(|_| GitHubKeysError)?;
        let key = |PublishedKey { key_identifier: id, key, is_current }| {
            VerifyingKey::from_public_key_pem(&key).ok().map(|key| Key { id, key, is_current })
        };
        let keys: Vec<Key> = published.public_keys.into_iter().filter_map(key).collect();
        if keys.is_empty() { Err(GitHubKeysError) } else { Ok(Self { keys }) }
    }

    /// Returns the ids of the keys that GitHub signs with. Deliveries signed by any other key are
    /// refused, so their digests need not be stored.
    pub fn current_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(|key| key.is_current).map(|key| key.id.as_str())
    }

    /// Whether a body was signed by the current key of this id.
    pub(super) fn check(&self, key_id: &str, signature: &str, body: &[u8]) -> Result<(), ReportError> {
        let key = self.keys.iter().find(|key| key.id == key_id).ok_or(ReportError::UnknownKey)?;
        if !key.is_current {
            return Err(ReportError::OldKey);
        }
        let signature = STANDARD.decode(signature).map_err(|_| ReportError::Signature)?;
        let signature = DerSignature::from_bytes(&signature).map_err(|_| ReportError::Signature)?;
        key.key.verify(body, &signature).map_err(|_| ReportError::Signature)
    }
}

/// What was to be GitHub's keys is something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GitHubKeysError;

impl fmt::Display for GitHubKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these are not the public keys of GitHub's secret scanning")
    }
}

impl Error for GitHubKeysError {}
