//! What a signed-in person does with their own tokens. The page and the JSON API both stand on it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Actor, Delegation, Error, ErrorKind, Invalid, Issued, Lifetime, Name, NewToken, PlaintextToken, ScopeSet, Status,
    Timestamp, TokenKey, TokenRecord, TokenView,
    policy::PolicyBreach,
    record::RevocationReason,
    rotation::{Rotated, Rotation},
    store::RevokeGroup,
};
use uuid::Uuid;

use crate::app::App;
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::setup::SetupError;
use crate::tokens::expiry::ExpiryError;
use crate::tokens::names::TokenName;
use crate::tokens::scopes;

/// A token with its name in the JSON API.
#[derive(Debug)]
pub struct OwnToken {
    pub name: TokenName,
    pub view: TokenView,
}

/// Why something was not done, in words for its person.
#[derive(Debug)]
pub enum Refused {
    Name(Invalid),
    Search(Invalid),
    Expiry(ExpiryError),
    Grace(ExpiryError),
    Policy(Error),
    TooMany,
    Scopes(Invalid),
    /// The token is not in a state for this.
    State(String),
    /// The token that it replaced works until then.
    PredecessorInGrace(Timestamp),
    /// Others changed the token all the time.
    Conflict,
    InvalidProject,
    ForbiddenProject,
    /// There is no such token, or it is another person's. The answer does not tell which.
    Unknown,
    Failed,
}

impl Refused {
    /// Something broke: the cause goes to the log, and nobody else.
    pub fn failed(error: impl Into<SetupError>) -> Self {
        let error = error.into();
        tracing::error!(error = &*error as &dyn std::error::Error, "request failed");
        Self::Failed
    }

    /// Says what a person is told of an error. Faults of the store and the generator are for the log.
    pub fn by(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Policy(PolicyBreach::GraceTooLong) => match error.bound() {
                Some(max) => Self::Grace(ExpiryError::Long { max }),
                None => Self::Policy(error),
            },
            ErrorKind::Policy(_) => Self::Policy(error),
            ErrorKind::Limit => Self::TooMany,
            ErrorKind::NotFound => Self::Unknown,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::PredecessorInGrace(until) => Self::PredecessorInGrace(until),
            ErrorKind::Ended(_)
            | ErrorKind::Inactive(_)
            | ErrorKind::AlreadyRotated
            | ErrorKind::NotRotated
            | ErrorKind::IssuerEnded(_)
            | ErrorKind::OutsideIssuer(_) => Self::State(error.to_string()),
            _ => Self::failed(error),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(invalid) | Self::Search(invalid) => invalid.fmt(f),
            Self::Expiry(error) => write!(f, "expires: {error}"),
            Self::Grace(error) => write!(f, "grace: {error}"),
            Self::Policy(error) => error.fmt(f),
            Self::PredecessorInGrace(until) => Error::from(ErrorKind::PredecessorInGrace(*until)).fmt(f),
            Self::Scopes(invalid) => invalid.fmt(f),
            Self::State(text) => f.write_str(text),
            Self::Conflict => f.write_str("the token was changed at the same time: look at it and try again"),
            Self::TooMany => f.write_str("you have too many live tokens in this project: delete one first"),
            Self::InvalidProject => f.write_str("project_id must be the number of a project"),
            Self::ForbiddenProject => f.write_str("you are not in this project"),
            Self::Unknown => f.write_str("there is no such token"),
            Self::Failed => f.write_str("something went wrong on our side; please try again"),
        }
    }
}

/// The person's project of this number, or their personal one.
pub async fn project_of(app: &App, user: &User, project: Option<i64>) -> Result<Project, Refused> {
    let found = match project {
        // One that does not exist and one that is closed to them look the same from outside.
        Some(project) => app.projects.find_of_user(user.id, project).await,
        None => app.projects.personal(user.id).await,
    };
    found.map_err(Refused::failed)?.ok_or(Refused::ForbiddenProject)
}

/// Makes a token of the person for a project they are in.
pub async fn issue(
    app: &App,
    user: &User,
    project: &Project,
    name: &str,
    lifetime: Lifetime,
    scopes: &str,
) -> Result<(OwnToken, PlaintextToken), Refused> {
    let name = Name::new(name).map_err(Refused::Name)?;
    let scopes = ScopeSet::new(scopes).map_err(Refused::Scopes)?;
    let owner = user.owner_id();
    let new = NewToken::new(project.project_id(), owner.clone(), name).with_lifetime(lifetime).with_scopes(scopes);
    let issued = app.tokens.issue(&Actor::from(&owner), new).await;
    named(app, user, issued.map_err(Refused::by)?).await
}

/// Names a token that was issued just now.
pub async fn named(
    app: &App,
    user: &User,
    issued: Issued<Arc<TokenRecord>>,
) -> Result<(OwnToken, PlaintextToken), Refused> {
    let Issued { token, record } = issued;
    let name = app.names.of(&record.key(), user.id).await.map_err(Refused::failed)?;
    Ok((OwnToken { name, view: record.view(app.tokens.now()) }, token))
}

/// Returns the token of an agent, to be issued within this delegation.
pub fn agent(delegation: &Delegation, name: &str, lifetime: Lifetime, scopes: &str) -> Result<NewToken, Refused> {
    let name = Name::new(name).map_err(Refused::Name)?;
    let scopes = ScopeSet::new(scopes).map_err(Refused::Scopes)?;
    // An agent gets the scope for issuing tokens only if the caller names it. How long chains may be is the policy's to say.
    let delegation = delegation.clone().allow_manage();
    let new = NewToken::new(*delegation.project(), delegation.owner().clone(), name);
    Ok(new.with_lifetime(lifetime).with_scopes(scopes).within(&delegation))
}

/// Issues a token for an agent under one of the person's own. It is bound to that, and within it.
pub async fn issue_agent(
    app: &App,
    user: &User,
    issuer: &OwnToken,
    name: &str,
    lifetime: Lifetime,
    scopes: &str,
) -> Result<(OwnToken, PlaintextToken), Refused> {
    let of_user = app.tokens.of(&user.owner_id(), &issuer.view.project);
    let delegation = of_user.delegation(&issuer.view.id, &scopes::MANAGE).await.map_err(Refused::by)?;
    let issued = of_user.issue(agent(&delegation, name, lifetime, scopes)?).await;
    let issued = issued.map_err(|error| match error.kind() {
        ErrorKind::Limit => {
            let most = app.tokens.policy().most_live_per_issuer();
            Refused::State(format!("this token has {most} live agent tokens, and may have no more: revoke one first"))
        }
        _ => Refused::by(error),
    });
    named(app, user, issued?).await
}

/// Lets another token take over; the old one works for the grace still.
pub async fn rotate(
    app: &App,
    user: &User,
    token: &OwnToken,
    grace: Duration,
) -> Result<(OwnToken, PlaintextToken), Refused> {
    let actor = Actor::from(&user.owner_id());
    let rotated = app.tokens.rotate(&actor, &token.view.key(), Rotation::with_grace(grace)).await;
    let Rotated { issued, .. } = rotated.map_err(Refused::by)?;
    let name = app.names.of(&issued.record.key(), user.id).await.map_err(Refused::failed)?;
    Ok((OwnToken { name, view: issued.record.view(app.tokens.now()) }, issued.token))
}

/// Returns the name of the token that this one took over from, for the form that ends its grace.
pub async fn predecessor(app: &App, user: &User, token: &OwnToken) -> Result<Option<TokenName>, Refused> {
    let Some(id) = token.view.rotated_from else { return Ok(None) };
    let key = TokenKey { project: token.view.project, id };
    app.names.of(&key, user.id).await.map(Some).map_err(Refused::failed)
}

/// Ends the grace of a token that was rotated: whoever uses it from now on is told that it was revoked.
pub async fn end_grace(app: &App, user: &User, token: &OwnToken) -> Result<(), Refused> {
    if token.view.rotated_to.is_none() {
        return Err(Refused::State("the token was not rotated".into()));
    }
    let actor = Actor::from(&user.owner_id());
    let revoked = app.tokens.revoke(&actor, &token.view.key(), RevocationReason::Superseded).await;
    revoked.map(drop).map_err(Refused::failed)
}

/// Stops a token for now, or lets it work again; gives what it is now.
pub async fn disable(app: &App, user: &User, token: &OwnToken, disabled: bool) -> Result<OwnToken, Refused> {
    let (actor, key) = (Actor::from(&user.owner_id()), token.view.key());
    let changed = match disabled {
        true => app.tokens.disable(&actor, &key).await,
        false => app.tokens.enable(&actor, &key).await,
    };
    Ok(OwnToken { name: token.name, view: changed.map_err(Refused::by)? })
}

/// So that "last used" is true to the moment where a person looks. Where it fails, it is a little late.
pub async fn write_uses(app: &App) {
    if let Err(error) = app.tokens.flush_usage().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "last uses are not written");
    }
}

/// One of the person's tokens, unless they deleted it.
pub async fn find(app: &App, user: &User, uuid: &str) -> Result<OwnToken, Refused> {
    let uuid: Uuid = uuid.parse().map_err(|_| Refused::Unknown)?;
    let found = app.names.find(uuid, user.id).await.map_err(Refused::failed)?;
    let (name, key) = found.ok_or(Refused::Unknown)?;
    write_uses(app).await;
    let view = app.tokens.get(&key).await.map_err(Refused::failed)?.ok_or(Refused::Unknown)?;
    // The record says whose it is, not the row of its name.
    if view.owner != user.owner_id() || view.status == Status::Revoked {
        return Err(Refused::Unknown);
    }
    Ok(OwnToken { name, view })
}

/// Ends one of the person's tokens. Its record stays, so that whoever still uses it is told why it does not work.
pub async fn delete(app: &App, user: &User, token: &OwnToken) -> Result<(), Refused> {
    let actor = Actor::from(&user.owner_id());
    app.tokens
        .revoke(&actor, &token.view.key(), RevocationReason::CessationOfOperation)
        .await
        .map_err(Refused::failed)?;
    Ok(())
}

/// Ends all of the person's tokens in a project, or wherever they have any; gives how many were not ended before.
pub async fn revoke_all(app: &App, user: &User, project: Option<&Project>) -> Result<u64, Refused> {
    let owner = user.owner_id();
    let (actor, group) = (Actor::from(&owner), RevokeGroup::Owner(owner));
    let reason = RevocationReason::CessationOfOperation;
    match project {
        Some(project) => {
            let revoked = app.tokens.revoke_group(&actor, &project.project_id(), &group, reason).await;
            revoked.map_err(Refused::failed)
        }
        // Also those in projects that they have left.
        None => app.tokens.revoke_everywhere(&actor, &group, reason, None).await.map_err(Refused::failed),
    }
}
