//! The keys that GitHub signs with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde::Deserialize;

use super::refusal::DeliveryRefusal;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

/// The public keys by which GitHub's secret scanning signs, as it publishes them. Fetch them at [`ADDRESS`](Self::ADDRESS), at the start,
/// each day, and when a report names one that is not known or not in use ([`DeliveryRefusal::UnknownKey`]), but then not more than once in some
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

const fn not_keys() -> Invalid {
    Invalid::new(InvalidField::GitHubKeys, InvalidKind::Shape)
}

impl GitHubKeys {
    /// Where GitHub publishes them.
    pub const ADDRESS: &str = "https://api.github.com/meta/public_keys/secret_scanning";

    /// Reads what is answered there. Keys of other kinds than those of the curve P-256 are left out.
    ///
    /// # Errors
    /// Returns [`Invalid`] if it is not such an answer, or no key is left.
    pub fn from_json(answer: &[u8]) -> Result<Self, Invalid> {
        let published: Published = serde_json::from_slice(answer).map_err(|_| not_keys())?;
        let key = |PublishedKey { key_identifier: id, key, is_current }| {
            VerifyingKey::from_public_key_pem(&key).ok().map(|key| Key { id, key, is_current })
        };
        let keys: Vec<Key> = published.public_keys.into_iter().filter_map(key).collect();
        if keys.is_empty() { Err(not_keys()) } else { Ok(Self { keys }) }
    }

    /// Returns the ids of the keys that GitHub signs with. Deliveries signed by any other key are
    /// refused, so their digests need not be stored.
    pub fn current_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(|key| key.is_current).map(|key| key.id.as_str())
    }

    /// Whether a body was signed by the current key of this id.
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
