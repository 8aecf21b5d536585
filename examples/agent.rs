//! Delegation to an agent: a person's token issues a bound token with one scope for ten minutes.
//!
//! The agent works with the bound token and revokes it at the end. If the agent forgets to revoke
//! it, the bound token ends together with the person's token.
//!
//! `cargo run --example agent`

use std::time::Duration;

use keyfob::{
    Access, Keyring, Lifetime, MemoryStore, Name, Pepper, Prefix, ProjectId, Scope, ScopeSet, Tokens, VerifyError,
    record::RevocationReason,
};

/// The scope that a token needs in this service to issue other tokens.
const DELEGATE: &str = "tokens:delegate";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tokens = Tokens::new(Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?), MemoryStore::new());
    let (project, ada) = (ProjectId::new("145")?, "ada".parse()?);
    let (read, write, delegate) = (Scope::new("repo:read")?, Scope::new("repo:write")?, Scope::new(DELEGATE)?);

    // Ada issues herself a token that may read and write, and that may issue tokens with no more
    // rights than its own.
    let of_ada = tokens.of(&ada, &project);
    let new = of_ada.new_token(Name::new("my laptop")?).with_scopes(ScopeSet::new("repo:* tokens:delegate")?);
    let laptop = of_ada.issue(new).await?;

    // The agent presents Ada's token once, to get a token that is bound to it and has fewer rights:
    // only reading, for ten minutes.
    let access = Access::to(&project, std::slice::from_ref(&read));
    let verified = tokens.verify(laptop.token.expose_secret(), &access).await?;
    let by = verified.delegate(&delegate)?;
    let new = of_ada
        .new_token(Name::new("release notes agent")?)
        .with_scopes(ScopeSet::from_scopes([read.clone()])?)
        .with_lifetime(Lifetime::For(Duration::from_secs(600)))
        .within(&by);
    let agent = tokens.issue(&by.actor(), new).await?;
    println!("agent token:  {}", agent.token.public_part());

    // The agent works with its own token. Each verification returns the owner and the issuing
    // token.
    let verified = tokens.verify(agent.token.expose_secret(), &access).await?;
    println!("may write:    {}", verified.allows(&write));
    let acting = verified.acting();
    let issuers: Vec<_> = acting.issuers().map(|key| key.id.to_string()).collect();
    println!("acts for:     {}, issued by {}", acting.owner(), issuers.join(", "));

    // The agent revokes its token when it is done.
    tokens.revoke(&by.actor(), &verified.key(), RevocationReason::CessationOfOperation).await?;
    println!("afterwards:   {}", refused(tokens.verify(agent.token.expose_secret(), &access).await.err())?);

    // A forgotten token of an agent ends together with Ada's token. No search for it is needed.
    let another = of_ada.new_token(Name::new("forgotten agent")?).within(&by);
    let another = tokens.issue(&by.actor(), another).await?;
    of_ada.revoke(&laptop.record.id).await?;
    let nothing = Access::to(&project, &[]);
    println!("issuer ended: {}", refused(tokens.verify(another.token.expose_secret(), &nothing).await.err())?);
    Ok(())
}

/// Returns the message that the holder of a rejected token receives.
///
/// # Errors
/// Returns a text if the token was not rejected.
fn refused(error: Option<VerifyError>) -> Result<String, &'static str> {
    error.map(|error| error.to_string()).ok_or("a token that has ended passed verification")
}
