//! The public keys of GitHub's secret scanning.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde::Deserialize;

use super::refusal::DeliveryRefusal;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

/// The public keys with which GitHub's secret scanning signs its deliveries, as GitHub publishes
/// them at [`ADDRESS`](Self::ADDRESS).
///
/// Fetch the keys when your service starts, then once a day, and when a delivery names a key that
/// is unknown or not in use ([`DeliveryRefusal::UnknownKey`], [`DeliveryRefusal::OldKey`]). A key
/// that GitHub has withdrawn is accepted until you fetch the keys again. Any client can name an
/// unknown key, and GitHub allows only 60 requests for the keys an hour. So fetch the keys at most
/// once in a few minutes.
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

const fn not_keys() -> Invalid {
    Invalid::new(InvalidField::GitHubKeys, InvalidKind::Shape)
}

impl GitHubKeys {
    /// The URL at which GitHub publishes the keys.
    pub const ADDRESS: &str = "https://api.github.com/meta/public_keys/secret_scanning";

    /// Parses the keys from the body of GitHub's response to a request for
    /// [`ADDRESS`](Self::ADDRESS). Ignores keys that are not on the curve P-256.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the body is not a list of keys in GitHub's format, or if it has no
    /// key on the curve P-256.
    pub fn from_json(answer: &[u8]) -> Result<Self, Invalid> {
        let published: Published = serde_json::from_slice(answer).map_err(|_| not_keys())?;
        let key = |PublishedKey { key_identifier: id, key, is_current }| {
            VerifyingKey::from_public_key_pem(&key).ok().map(|key| Key { id, key, is_current })
        };
        let keys: Vec<Key> = published.public_keys.into_iter().filter_map(key).collect();
        if keys.is_empty() { Err(not_keys()) } else { Ok(Self { keys }) }
    }

    /// Returns the ids of the keys with which GitHub currently signs. A delivery that is signed
    /// with another key is refused, so you need not store the digest of such a delivery.
    pub fn current_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(|key| key.is_current).map(|key| key.id.as_str())
    }

    /// Checks that the key with this id is in use and has signed the body.
    pub(super) fn check(&self, key_id: &str, signature: &str, body: &[u8]) -> Result<(), DeliveryRefusal> {
        let key = self.keys.iter().find(|key| key.id == key_id).ok_or(DeliveryRefusal::UnknownKey)?;
        if !key.is_current {
            return Err(DeliveryRefusal::OldKey);
        }
        let signature = STANDARD.decode(signature).map_err(|_| DeliveryRefusal::Signature)?;
        let signature = DerSignature::from_bytes(&signature).map_err(|_| DeliveryRefusal::Signature)?;
        key.key.verify(body, &signature).map_err(|_| DeliveryRefusal::Signature)
    }
}
