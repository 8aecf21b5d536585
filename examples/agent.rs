//! Delegation to an agent: a person's token issues a bound token with one scope for ten minutes.
//!
//! The agent works with the bound token and revokes it at the end. If the agent does not revoke the
//! bound token, the token expires after ten minutes. The bound token also ends if the person's
//! token ends.
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

    // Ada issues a token for herself. The token may read and write. It may also issue tokens that
    // have no more rights than it has itself.
    let of_ada = tokens.of(&ada, &project);
    let new = of_ada.new_token(Name::new("my laptop")?).with_scopes(ScopeSet::new("repo:* tokens:delegate")?);
    let laptop = of_ada.issue(new).await?;

    // The agent presents Ada's token once, to get a token of its own. The agent's token is bound to
    // Ada's token and has fewer rights: it may only read, for ten minutes.
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

    // The agent works with its own token. Each verification returns the owner of this token and the
    // token that issued it.
    let verified = tokens.verify(agent.token.expose_secret(), &access).await?;
    println!("may write:    {}", verified.allows(&write));
    let acting = verified.acting();
    let issuers: Vec<_> = acting.issuers().map(|key| key.id.to_string()).collect();
    println!("acts for:     {}, issued by {}", acting.owner(), issuers.join(", "));

    // The agent revokes its token when it is done.
    tokens.revoke(&by.actor(), &verified.key(), RevocationReason::CessationOfOperation).await?;
    println!("afterwards:   {}", refused(tokens.verify(agent.token.expose_secret(), &access).await.err())?);

    // A token that an agent forgot to revoke ends together with Ada's token. Ada does not have to
    // search for it.
    let another = of_ada.new_token(Name::new("forgotten agent")?).within(&by);
    let another = tokens.issue(&by.actor(), another).await?;
    of_ada.revoke(&laptop.record.id).await?;
    let nothing = Access::to(&project, &[]);
    println!("issuer ended: {}", refused(tokens.verify(another.token.expose_secret(), &nothing).await.err())?);
    Ok(())
}

/// Returns the text of the error for which a token was rejected. The caller that presented the
/// token receives this text.
///
/// # Errors
/// Fails if `error` is `None`, because then a token that has ended passed verification.
fn refused(error: Option<VerifyError>) -> Result<String, &'static str> {
    error.map(|error| error.to_string()).ok_or("a token that has ended passed verification")
}
