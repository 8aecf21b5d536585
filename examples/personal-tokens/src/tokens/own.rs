//! The operations of a signed-in person on their own tokens. The pages and the JSON API both use
//! these operations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Actor, Delegation, Error, ErrorKind, Invalid, Issued, Lifetime, Name, NewToken, PlaintextToken, ScopeSet, Status,
    Timestamp, TokenKey, TokenRecord, TokenView,
    policy::PolicyBreach,
    record::{AddressRanges, Narrowing, RevocationReason},
    rotation::{Rotated, Rotation},
    store::RevokeGroup,
    tokens::OwnerTokens,
};
use uuid::Uuid;

use crate::app::App;
use crate::engine::Store;
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::setup::SetupError;
use crate::tokens::expiry::ExpiryError;
use crate::tokens::names::TokenName;
use crate::tokens::scopes;
use crate::tokens::via::Via;

/// A token of a person, together with the [`TokenName`] that identifies it in the JSON API.
#[derive(Debug)]
pub struct OwnToken {
    pub name: TokenName,
    pub view: TokenView,
}

/// The reason why an operation was refused. [`Display`](fmt::Display) writes a text for the person.
#[derive(Debug)]
pub enum Refused {
    Name(Invalid),
    Search(Invalid),
    Expiry(ExpiryError),
    Grace(ExpiryError),
    /// The time within which a new token must be confirmed is not valid.
    Confirm(ExpiryError),
    Policy(Error),
    TooMany,
    Scopes(Invalid),
    Addresses(Invalid),
    /// The change would give the token more rights.
    Wider,
    /// The current state, usually of the token, does not allow the operation. The text says why.
    State(String),
    /// The token cannot be rotated yet, because its predecessor works until this time.
    PredecessorInGrace(Timestamp),
    /// Every attempt to change the token failed, because other requests changed it at the same
    /// time.
    Conflict,
    InvalidProject,
    ForbiddenProject,
    /// The token does not exist or belongs to another person. The response does not reveal which.
    Unknown,
    Failed,
}

impl Refused {
    /// Logs the error and returns [`Refused::Failed`], which does not tell the person the cause.
    pub fn failed(error: impl Into<SetupError>) -> Self {
        let error = error.into();
        tracing::error!(error = &*error as &dyn std::error::Error, "request failed");
        Self::Failed
    }

    /// Converts an error into a refusal for the person. An error of the store or of the random
    /// generator is logged, and the person does not learn the cause.
    pub fn by(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Policy(PolicyBreach::GraceTooLong) => match error.bound() {
                Some(max) => Self::Grace(ExpiryError::Long { max }),
                None => Self::Policy(error),
            },
            ErrorKind::Policy(_) => Self::Policy(error),
            ErrorKind::Limit => Self::TooMany,
            ErrorKind::Wider => Self::Wider,
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
            Self::Confirm(error) => write!(f, "confirm_within: {error}"),
            Self::Policy(error) => error.fmt(f),
            Self::PredecessorInGrace(until) => Error::from(ErrorKind::PredecessorInGrace(*until)).fmt(f),
            Self::Scopes(invalid) | Self::Addresses(invalid) => invalid.fmt(f),
            Self::Wider => Error::from(ErrorKind::Wider).fmt(f),
            Self::State(text) => f.write_str(text),
            Self::Conflict => f.write_str("the token was changed at the same time; reload it and try again"),
            Self::TooMany => f.write_str("you have too many live tokens in this project; revoke one first"),
            Self::InvalidProject => f.write_str("project_id must be the number of a project"),
            Self::ForbiddenProject => f.write_str("you don't have access to this project"),
            Self::Unknown => f.write_str("the token was not found"),
            Self::Failed => f.write_str("something went wrong on our side; try again"),
        }
    }
}

/// Returns the person's project with this number. Returns their personal project if `project` is
/// `None`.
///
/// # Errors
/// Returns [`Refused::ForbiddenProject`] if the project does not exist or the person is not in it.
pub async fn project_of(app: &App, user: &User, project: Option<i64>) -> Result<Project, Refused> {
    let found = match project {
        // The result is the same for a project that does not exist and for a project that the
        // person cannot access.
        Some(project) => app.projects.find_of_user(user.id, project).await,
        None => app.projects.personal(user.id).await,
    };
    found.map_err(Refused::failed)?.ok_or(Refused::ForbiddenProject)
}

/// The properties that a person chooses for a new token.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'w> {
    pub name: &'w str,
    pub lifetime: Lifetime,
    /// The scopes, separated by spaces.
    pub scopes: &'w str,
    /// The addresses and networks from which the token may be used, separated by spaces or commas.
    /// An empty text allows any address.
    pub addresses: &'w str,
    /// The time within which the token must be [confirmed](confirm), or `None` if the token works
    /// immediately.
    pub confirm_within: Option<Duration>,
    pub via: Via,
}

/// Issues a token that belongs to the person, for one of their projects.
pub async fn issue(
    app: &App,
    user: &User,
    project: &Project,
    wish: Wish<'_>,
) -> Result<(OwnToken, PlaintextToken), Refused> {
    let name = Name::new(wish.name).map_err(Refused::Name)?;
    let scopes = ScopeSet::new(wish.scopes).map_err(Refused::Scopes)?;
    let addresses = AddressRanges::new(wish.addresses).map_err(Refused::Addresses)?;
    let of_user = app.tokens.of(&user.owner_id(), &project.project_id());
    let new = of_user.new_token(name).with_lifetime(wish.lifetime).with_scopes(scopes).with_addresses(addresses);
    let new = new.with_metadata(wish.via.metadata());
    let new = match wish.confirm_within {
        Some(within) => new.with_confirm_within(within),
        None => new,
    };
    named(app, user, of_user.issue(new).await.map_err(Refused::by)?).await
}

/// Gives a newly issued token its [`TokenName`]. Returns the description of the token with this
/// name, and also the token in clear text.
pub async fn named(
    app: &App,
    user: &User,
    issued: Issued<Arc<TokenRecord>>,
) -> Result<(OwnToken, PlaintextToken), Refused> {
    let Issued { token, record } = issued;
    let name = app.names.of(&record.key(), user.id).await.map_err(Refused::failed)?;
    Ok((OwnToken { name, view: record.view(app.tokens.now()) }, token))
}

/// Returns the request for a new agent token within the limits of a delegation.
pub fn agent(delegation: &Delegation, name: &str, lifetime: Lifetime, scopes: &str) -> Result<NewToken, Refused> {
    let name = Name::new(name).map_err(Refused::Name)?;
    let scopes = ScopeSet::new(scopes).map_err(Refused::Scopes)?;
    // An agent gets the scope `tokens:manage` only if the caller names it. The policy limits how
    // many tokens may be bound to each other in a chain.
    let delegation = delegation.clone().allow_manage();
    let new = NewToken::new(*delegation.project(), delegation.owner().clone(), name);
    Ok(new.with_lifetime(lifetime).with_scopes(scopes).within(&delegation))
}

/// Issues a token for an agent under one of the person's tokens. The new token is bound to the
/// issuer and has at most the issuer's rights.
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
            Refused::State(format!("this token has {most} live agent tokens, which is the limit; revoke one first"))
        }
        _ => Refused::by(error),
    });
    named(app, user, issued?).await
}

/// Rotates a token, and returns the new token. The old token works until the grace period ends.
pub async fn rotate(
    app: &App,
    user: &User,
    token: &OwnToken,
    grace: Duration,
) -> Result<(OwnToken, PlaintextToken), Refused> {
    let rotated = of(app, user, token).rotate(&token.view.id, Rotation::with_grace(grace)).await;
    let Rotated { issued, .. } = rotated.map_err(Refused::by)?;
    named(app, user, issued).await
}

/// Returns the name of the token's predecessor, or `None` if the token has no predecessor. The form
/// that ends the predecessor's grace period needs this name.
pub async fn predecessor(app: &App, user: &User, token: &OwnToken) -> Result<Option<TokenName>, Refused> {
    let Some(id) = token.view.rotated_from else { return Ok(None) };
    let key = TokenKey { project: token.view.project, id };
    app.names.of(&key, user.id).await.map(Some).map_err(Refused::failed)
}

/// Ends the grace period of a rotated token, so that only its successor works. Returns the token in
/// its new state.
///
/// # Errors
/// Returns [`Refused::State`] if the token was not rotated, or ended for another reason.
pub async fn end_grace(app: &App, user: &User, token: &OwnToken) -> Result<OwnToken, Refused> {
    let actor = Actor::from(&user.owner_id());
    token.changed(app.tokens.end_grace(&actor, &token.view.key()).await)
}

/// Renames a token. Returns the token with its new name.
pub async fn rename(app: &App, user: &User, token: &OwnToken, name: &str) -> Result<OwnToken, Refused> {
    let name = Name::new(name).map_err(Refused::Name)?;
    token.changed(of(app, user, token).rename(&token.view.id, name).await)
}

/// Reduces the scopes of a token, its addresses, or both. `None` leaves the present value
/// unchanged. Returns the token in its new state.
///
/// # Errors
/// Returns [`Refused::Wider`] if the token would get a scope or an address that it does not have.
pub async fn narrow(
    app: &App,
    user: &User,
    token: &OwnToken,
    scopes: Option<&str>,
    addresses: Option<&str>,
) -> Result<OwnToken, Refused> {
    let scopes = scopes.map(ScopeSet::new).transpose().map_err(Refused::Scopes)?;
    let addresses = addresses.map(AddressRanges::new).transpose().map_err(Refused::Addresses)?;
    let narrowing = Narrowing { scopes, addresses, ..Narrowing::default() };
    let actor = Actor::from(&user.owner_id());
    token.changed(app.tokens.narrow(&actor, &token.view.key(), narrowing).await)
}

/// Confirms a pending token, so that it works. Returns the token in its new state.
///
/// # Errors
/// Returns [`Refused::State`] if the token was not confirmed in time, or ended for another reason.
pub async fn confirm(app: &App, user: &User, token: &OwnToken) -> Result<OwnToken, Refused> {
    let actor = Actor::from(&user.owner_id());
    token.changed(app.tokens.confirm(&actor, &token.view.key()).await)
}

/// Disables or enables a token. Returns the token in its new state.
pub async fn disable(app: &App, user: &User, token: &OwnToken, disabled: bool) -> Result<OwnToken, Refused> {
    let (of_user, id) = (of(app, user, token), token.view.id);
    token.changed(match disabled {
        true => of_user.disable(&id).await,
        false => of_user.enable(&id).await,
    })
}

impl OwnToken {
    /// Returns the token after a change, or the reason why the change was refused.
    fn changed(&self, outcome: Result<TokenView, Error>) -> Result<Self, Refused> {
        Ok(Self { name: self.name, view: outcome.map_err(Refused::by)? })
    }
}

/// Returns the handle for the person's tokens in the project of a token.
fn of<'a>(app: &'a App, user: &User, token: &OwnToken) -> OwnerTokens<'a, Store> {
    app.tokens.of(&user.owner_id(), &token.view.project)
}

/// Writes the last uses to the store, so that the page shows current times. If the store fails, the
/// shown times may be a few seconds old.
pub async fn write_uses(app: &App) {
    if let Err(error) = app.tokens.flush_usage().await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "cannot write the last uses; what is shown may be a few seconds old"
        );
    }
}

/// Returns the person's token with this UUID, unless the token is revoked.
///
/// # Errors
/// Returns [`Refused::Unknown`] if `uuid` is not a UUID, if the person has no such token, or if the
/// token is revoked.
pub async fn find(app: &App, user: &User, uuid: &str) -> Result<OwnToken, Refused> {
    let token = read(app, user, uuid).await?;
    if token.view.status == Status::Revoked { Err(Refused::Unknown) } else { Ok(token) }
}

/// Returns the person's token with this UUID, even if the token has ended or the person has left
/// its project. Use it only to show the token.
///
/// # Errors
/// Returns [`Refused::Unknown`] if `uuid` is not a UUID, or if the person has no such token.
pub async fn read(app: &App, user: &User, uuid: &str) -> Result<OwnToken, Refused> {
    let uuid: Uuid = uuid.parse().map_err(|_| Refused::Unknown)?;
    let found = app.names.find(uuid, user.id).await.map_err(Refused::failed)?;
    let (name, key) = found.ok_or(Refused::Unknown)?;
    write_uses(app).await;
    let view = app.tokens.get(&key).await.map_err(Refused::failed)?.ok_or(Refused::Unknown)?;
    // The record of the token decides who its owner is, and not the row with its name.
    if view.owner == user.owner_id() { Ok(OwnToken { name, view }) } else { Err(Refused::Unknown) }
}

/// Revokes one of the person's tokens. The record stays in the store. So if a later request
/// presents the token, the service refuses it and says that the token is revoked.
pub async fn delete(app: &App, user: &User, token: &OwnToken) -> Result<(), Refused> {
    let reason = RevocationReason::CessationOfOperation;
    of(app, user, token).revoke_because(&token.view.id, reason).await.map(drop).map_err(Refused::by)
}

/// Revokes all of the person's tokens in a project, or in all projects if `project` is `None`.
/// Returns the number of tokens that this call revoked.
pub async fn revoke_all(app: &App, user: &User, project: Option<&Project>) -> Result<u64, Refused> {
    let owner = user.owner_id();
    let (actor, group) = (Actor::from(&owner), RevokeGroup::Owner(owner));
    let reason = RevocationReason::CessationOfOperation;
    match project {
        Some(project) => {
            let revoked = app.tokens.revoke_group(&actor, &project.project_id(), &group, reason).await;
            revoked.map_err(Refused::failed)
        }
        // This includes tokens in projects that the person has left.
        None => app.tokens.revoke_everywhere(&actor, &group, reason, None).await.map_err(Refused::failed),
    }
}
