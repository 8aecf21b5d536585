//! Peers that find or compare a token by a hash of its text.

use std::hint::black_box;
use std::sync::Arc;

use api_keys_simplified::{ApiKeyManagerV0, Environment, ExposeSecret, KeyStatus, SecureString};
use latchkey::session::{Access, Session, Stage};
use latchkey::token::TokenHash;
use prefixed_api_key::{PakControllerOsSha256, PrefixedApiKey};
use rand_core::TryRng;
use sealwd::{Token, TokenMaterial};
use sha2_plain::{Digest, Sha256};
use time::OffsetDateTime;

use super::table::{Row, Table};
use super::{Peer, Texts};

/// Returns whether there is a row. The handler of a service would read the owner.
fn is_owned(row: Option<Arc<Row>>) -> bool {
    row.is_some_and(|row| !black_box(&row.owner).is_empty())
}

/// Returns the common way to write it by hand: the SHA-256 of a random text is the key of a row.
pub fn by_hand() -> Peer {
    let random = || {
        let mut bytes = [0; 32];
        getrandom::SysRng.try_fill_bytes(&mut bytes).expect("the system has random numbers");
        bytes.iter().fold("acme_pat_".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    };
    let valid = random();
    let table = Table::<[u8; 32]>::new(Sha256::digest(&valid).into(), "");
    let verify = move |text: &str| is_owned(table.live(&Sha256::digest(text).into()));
    Peer {
        name: "SHA-256 by hand",
        texts: Texts::new(valid, random(), 20),
        verify: Box::new(verify),
        checks: "Expiry. No key in the hash, and a look-up instead of a comparison in constant time. A typo and a \
                 forgery cost a store call.",
    }
}

/// Returns a service with the tokens of sealwd, and a table of its own.
pub fn sealwd() -> Peer {
    let random = || Token::<32>::random().expect("the system has random numbers");
    let (pepper, token) = ([7; 32], random());
    let table = Table::new(token.to_default_hash(&pepper), "");
    let verify = move |text: &str| {
        let Ok(token) = Token::<32>::from_base64(text) else { return false };
        is_owned(table.live(&token.to_default_hash(&pepper)))
    };
    Peer {
        name: "sealwd",
        texts: Texts::new(token.to_base64(), random().to_base64(), 20),
        verify: Box::new(verify),
        checks: "Expiry, which the benchmark adds: the crate has no store and no rules. The pepper is a prefix of \
                 the hashed text (BLAKE3), and a look-up replaces the comparison in constant time. A typo and a \
                 forgery cost a store call.",
    }
}

/// Returns a service with the tokens and the sessions of latchkey, and a table of its own.
pub fn latchkey() -> Peer {
    let mut rng = latchkey::os_rng().expect("the system has random numbers");
    let [token, csrf, other] = [0; 3].map(|_| latchkey::token::issue(&mut rng));
    let (session, user) = (latchkey::SessionId::random(&mut rng), latchkey::UserId::random(&mut rng));
    let now = OffsetDateTime::now_utc();
    let tomorrow = now + time::Duration::DAY;
    let session = Session::new(session, token.hash, user, Stage::Full, csrf.token, now, tomorrow);
    let sessions = std::sync::RwLock::new(std::collections::HashMap::from([(token.hash, Arc::new(session))]));
    let verify = move |text: &str| {
        let Some(hash) = TokenHash::of(text) else { return false };
        let session = sessions.read().expect("no thread panics").get(&hash).cloned();
        let may = |session: &Session| {
            let window = time::Duration::minutes(5);
            session.authorize(true, Access::SignedIn, window, OffsetDateTime::now_utc()).is_ok()
        };
        session.is_some_and(|session| may(&session))
    };
    Peer {
        name: "latchkey",
        texts: Texts::new(token.token.expose_secret().to_owned(), other.token.expose_secret().to_owned(), 20),
        verify: Box::new(verify),
        checks: "Expiry and the stage of a sign-in, no projects, no scopes. The crate has no store. No key in the \
                 hash, and a look-up instead of a comparison in constant time. A typo and a forgery cost a store \
                 call.",
    }
}

/// Returns a service with the keys of prefixed-api-key, and a table of its own.
pub fn prefixed_api_key() -> Peer {
    let controller =
        PakControllerOsSha256::configure().prefix("acme".to_owned()).seam_defaults().rng_osrng().finalize();
    let controller = controller.expect("the configuration is complete");
    let (key, hash) = controller.generate_key_and_hash();
    let (other, _) = controller.generate_key_and_hash();
    let table = Table::new(key.short_token().to_owned(), &hash);
    // The forgery has the public part of the valid key, as an attacker would have it.
    let forged = format!("acme_{}_{}", key.short_token(), other.long_token());
    let texts = Texts::new(key.to_string(), forged, key.to_string().len() - 5);
    let verify = move |text: &str| {
        let Ok(key) = PrefixedApiKey::from_string(text) else { return false };
        let row = table.live(&key.short_token().to_owned());
        is_owned(row.filter(|row| controller.check_hash(&key, &row.hash)))
    };
    Peer {
        name: "prefixed-api-key",
        texts,
        verify: Box::new(verify),
        checks: "Expiry, which the benchmark adds: the crate has no store and no rules. It does not compare the \
                 prefix. No key in the hash. A typo and a forgery cost a store call.",
    }
}

/// Returns a service with the keys of api-keys-simplified, and a table of its own.
pub fn api_keys_simplified() -> Peer {
    let manager = ApiKeyManagerV0::init_default_config("acme").expect("the prefix is valid");
    let key = || manager.generate(Environment::production()).expect("the system has random numbers");
    let (key, other) = (key(), key());
    let table = Table::new(key.expose_hash().key_id().clone(), key.expose_hash().hash());
    let text = |key: &SecureString| key.expose_secret().to_owned();
    let texts = Texts::new(text(key.key()), text(other.key()), 20);
    let verify = move |text: &str| {
        let key = SecureString::from(text);
        // The service rejects a typo before it calls its store.
        if !manager.verify_checksum(&key).unwrap_or(false) {
            return false;
        }
        let row = table.live(&manager.extract_key_id(&key));
        is_owned(row.filter(|row| matches!(manager.verify(&key, &row.hash), Ok(KeyStatus::Valid))))
    };
    Peer {
        name: "api-keys-simplified",
        texts,
        verify: Box::new(verify),
        checks: "Expiry, if the key states one. No projects, no scopes. The crate has no store. Each valid token \
                 costs one Argon2id. A forgery costs a store call.",
    }
}
