//! Issues and checks tokens in your own database transaction, with `mint` and `check`.
//!
//! Your service writes the record of a new token and another row in one transaction. Later, your
//! service itself reads the record and checks the token. It needs no store of keyfob and no async
//! runtime.
//!
//! `cargo run --example own_transaction`

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use keyfob::{
    Access, Actor, Clock, Keyring, Name, NewToken, OwnerId, Pepper, Policy, Prefix, PresentedToken, ProjectId,
    SystemClock, TokenKey, TokenRecord, VerifyError, check, mint,
};

/// A stand-in for your database, with two tables. A transaction writes to both tables or to none.
#[derive(Default, Clone)]
struct Database {
    tokens: HashMap<TokenKey, Arc<TokenRecord>>,
    audit: Vec<String>,
}

impl Database {
    /// Runs a closure on a copy of the database. If the closure succeeds, the copy replaces the
    /// database. Otherwise the database stays unchanged.
    fn transaction<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, Box<dyn Error>>,
    ) -> Result<T, Box<dyn Error>> {
        let mut copy = self.clone();
        let value = act(&mut copy)?;
        *self = copy;
        Ok(value)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
    let policy = Policy::default();
    let (project, ada) = (ProjectId::new("145")?, OwnerId::new("ada")?);
    let mut database = Database::default();

    let text = database.transaction(|rows| {
        let new = NewToken::new(project, ada.clone(), Name::new("nightly build")?);
        let issued = mint(&keyring, &policy, new, &Actor::from(&ada), SystemClock.now())?;
        rows.audit.push(format!("{ada} issued {}", issued.record.public_part()));
        let key = issued.record.key();
        if rows.tokens.insert(key, Arc::new(issued.record)).is_some() {
            return Err("a token with this id exists already".into());
        }
        Ok(issued.token)
    })?;

    let verify = |presented: &str| {
        let token = PresentedToken::parse(presented, &keyring)?;
        let row = database.tokens.get(&token.key()).cloned();
        check(&token, row.into(), &Access::to(&project, &[]), &policy, SystemClock.now()).map_err(VerifyError::from)
    };
    let verified = verify(text.expose_secret())?;
    println!("{} may act in {}; {}", verified.owner(), verified.project(), database.audit[0]);

    let error = verify("acme_pat_145_not-a-token").err().ok_or("a malformed token passed verification")?;
    let challenge = error.challenge();
    println!("{}: {}", challenge.status(), challenge.www_authenticate("acme").unwrap_or_default());
    Ok(())
}
