//! Quickstart: issues a token, verifies it and revokes it. The store keeps the token in memory.
//!
//! `cargo run --example quickstart`

use keyfob::{
    Access, Actor, Keyring, MemoryStore, Name, NewToken, OwnerId, Pepper, Prefix, ProjectId, Tokens,
    record::RevocationReason,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Choose the prefix once, and never change it. Generate the pepper once, and keep it outside
    // the database.
    let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
    let tokens = Tokens::new(keyring, MemoryStore::new());
    let (project, ada) = (ProjectId::new("145")?, OwnerId::new("ada")?);

    let new = NewToken::new(project, ada.clone(), Name::new("VS Code integration")?);
    let issued = tokens.issue(&Actor::from(&ada), new).await?;
    println!("shown once:  {}", issued.token.expose_secret());

    let access = Access::to(&project, &[]);
    let verified = tokens.verify(issued.token.expose_secret(), &access).await?;
    println!("acts for:    {} in project {}", verified.owner(), verified.project());

    tokens.revoke(&Actor::from(&ada), &verified.key(), RevocationReason::CessationOfOperation).await?;
    match tokens.verify(issued.token.expose_secret(), &access).await {
        Ok(_) => Err("a revoked token passed verification".into()),
        Err(error) => {
            println!("afterwards:  {error}");
            Ok(())
        }
    }
}
