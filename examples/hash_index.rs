//! Finds tokens by their digests, with only the text and the MAC of tokens: without records, a
//! policy, a clock or a store of keyfob.
//!
//! A service can put keyfob below a table in which it already finds its tokens by a hash.
//!
//! `cargo run --example hash_index --no-default-features --features os-rng`

use std::collections::HashMap;
use std::error::Error;

use keyfob::{
    Keyring, Pepper, Prefix, PresentedToken, ProjectId, TokenId,
    text::{MintedText, mint_text},
};

// The store begins here. Its rows have the id of a token and its user. Your service adds an expiry,
// rights, and all else that it needs.
#[derive(Default)]
struct Tokens(HashMap<[u8; 32], (TokenId, String)>);

impl Tokens {
    fn insert(&mut self, minted: &MintedText, user: &str) {
        self.0.insert(*minted.digest.as_bytes(), (minted.id, user.into()));
    }
    fn user(&self, token: &PresentedToken<'_>) -> Option<&str> {
        self.0.get(token.digest().as_bytes()).map(|(_, user)| user.as_str())
    }
    fn remove(&mut self, id: &TokenId) {
        self.0.retain(|_, (other, _)| other != id);
    }
}
// The store ends here.

fn main() -> Result<(), Box<dyn Error>> {
    // Choose the prefix once, and never change it. Generate the pepper once, and keep it outside
    // the database. An index of digests needs a pepper.
    let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
    let mut tokens = Tokens::default();

    let minted = mint_text(&keyring, &ProjectId::from(145u64))?;
    tokens.insert(&minted, "ada");
    println!("shown once:  {}", minted.token.expose_secret());

    // A forged or mistyped text ends here, without a look-up.
    let token = PresentedToken::parse(minted.token.expose_secret(), &keyring)?;
    let user = tokens.user(&token).ok_or("the token was not found")?;
    // The digest covers the project, so the project in the text is the one that was minted.
    println!("acts for:    {user} in project {}", token.key().project);

    tokens.remove(&minted.id);
    if tokens.user(&token).is_some() {
        return Err("a removed token was found".into());
    }
    println!("afterwards:  no token has this digest");
    Ok(())
}
