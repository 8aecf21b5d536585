//! An agent that is given a person's token, makes itself one for ten minutes with one scope, works with that, and ends it.
//! `cargo run --example agent`

use std::time::Duration;

use keyfob::{
    Access, Keyring, Lifetime, MemoryStore, Name, Pepper, Prefix, ProjectId, Scope, ScopeSet, Tokens, VerifyError,
    record::RevocationReason,
};

/// The scope by which this service lets a token issue others.
const DELEGATE: &str = "tokens:delegate";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tokens = Tokens::new(Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?), MemoryStore::new());
    let (project, ada) = (ProjectId::new("145")?, "ada".parse()?);
    let (read, write, delegate) = (Scope::new("repo:read")?, Scope::new("repo:write")?, Scope::new(DELEGATE)?);

    // Ada makes a token that may read and write, and may issue tokens within itself.
    let of_ada = tokens.of(&ada, &project);
    let new = of_ada.new_token(Name::new("my laptop")?).with_scopes(ScopeSet::new("repo:* tokens:delegate")?);
    let laptop = of_ada.issue(new).await?;

    // The agent presents it once, and asks for less: ten minutes, reading only. It is bound to ada's token.
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

    // It works with its own token. Whoever looks sees for whom, and by which token.
    let verified = tokens.verify(agent.token.expose_secret(), &access).await?;
    println!("may write:    {}", verified.allows(&write));
    let acting = verified.acting();
    let issuers: Vec<_> = acting.issuers().map(|key| key.id.to_string()).collect();
    println!("acts for:     {}, issued by {}", acting.owner(), issuers.join(", "));

    // It ends its token when it is done.
    tokens.revoke(&by.actor(), &verified.key(), RevocationReason::CessationOfOperation).await?;
    println!("afterwards:   {}", refused(tokens.verify(agent.token.expose_secret(), &access).await.err())?);

    // Had it not, the token would end with ada's: there is nothing to search for, and nothing to forget.
    let another = of_ada.new_token(Name::new("forgotten agent")?).within(&by);
    let another = tokens.issue(&by.actor(), another).await?;
    of_ada.revoke(&laptop.record.id).await?;
    let nothing = Access::to(&project, &[]);
    println!("with its own: {}", refused(tokens.verify(another.token.expose_secret(), &nothing).await.err())?);
    Ok(())
}

/// What the holder of a refused token is told.
fn refused(error: Option<VerifyError>) -> Result<String, &'static str> {
    error.map(|error| error.to_string()).ok_or("an ended token passed")
}
