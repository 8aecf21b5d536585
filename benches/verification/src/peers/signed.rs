//! Signed tokens.

use std::hint::black_box;

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode, get_current_timestamp};
use serde::{Deserialize, Serialize};

use super::{Peer, Texts};

/// The claims of a token.
#[derive(Serialize, Deserialize)]
pub struct Claims {
    pub sub: String,
    project: String,
    exp: u64,
}

/// The keys of a service that signs tokens.
pub struct Signed {
    key: DecodingKey,
    validation: Validation,
}

impl Signed {
    /// Creates a service, and returns it with one of its tokens.
    pub fn new() -> (Self, String) {
        let key = DecodingKey::from_secret(&[7; 32]).expect("the key is not empty");
        (Self { key, validation: Validation::default() }, token(7))
    }

    /// Returns the claims of a token if it is valid.
    pub fn claims(&self, text: &str) -> Option<Claims> {
        Some(decode::<Claims>(text, &self.key, &self.validation).ok()?.claims)
    }
}

/// Returns a token that is signed with a key of these bytes.
fn token(key: u8) -> String {
    let claims = Claims { sub: "ada".to_owned(), project: "145".to_owned(), exp: get_current_timestamp() + 24 * 3600 };
    let key = EncodingKey::from_secret(&[key; 32]).expect("the key is not empty");
    encode(&Header::default(), &claims, &key).expect("the claims are JSON")
}

/// Returns a service with JSON Web Tokens that are signed with HS256.
pub fn jsonwebtoken() -> Peer {
    let (signed, valid) = Signed::new();
    let wrong = valid.len() - 20;
    let verify = move |text: &str| signed.claims(text).is_some_and(|claims| !black_box(&claims.sub).is_empty());
    Peer {
        name: "jsonwebtoken, HS256",
        texts: Texts::new(valid, token(8), wrong),
        verify: Box::new(verify),
        checks: "Signature and expiry. It reads no store, so it checks no revocation. The service compares the \
                 claims for projects and scopes.",
    }
}
