//! What the token API is sent, and what it answers with.

use std::net::IpAddr;

use keyfob::{Status, TokenKind};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::people::accounts::User;
use crate::tokens::own::{OwnToken, Refused};
use crate::tokens::scopes;

/// A token as the API shows it. The first six fields are those that existing clients know, in their order; whatever is new
/// stands behind them.
#[derive(Serialize)]
pub struct TokenObject {
    id: i64,
    uuid: String,
    user_id: i64,
    name: String,
    /// RFC 3339, or `null` for never.
    expires: Option<String>,
    /// The whole token in the answer that makes it; masked, with nothing of the secret, everywhere else.
    token: String,
    project_id: i64,
    status: Status,
    created_at: String,
    last_used_at: Option<String>,
    /// Separated by spaces.
    scopes: String,
    kind: TokenKind,
    /// The token that issued it, if one did.
    issuer: Option<IssuerObject>,
    /// Where its last use came from, if it was used.
    last_used_from: Option<OriginObject>,
}

#[derive(Serialize)]
struct IssuerObject {
    public_id: String,
    /// Whether this one ends with it.
    bound: bool,
}

#[derive(Serialize)]
struct OriginObject {
    address: Option<IpAddr>,
    /// As the client calls itself.
    client: Option<String>,
}

impl TokenObject {
    pub fn new(token: &OwnToken, user: &User, text: String) -> Result<Self, Refused> {
        let view = &token.view;
        Ok(Self {
            id: token.name.id,
            uuid: token.name.uuid.to_string(),
            user_id: user.id,
            name: view.name.as_str().into(),
            expires: view.expires_at.map(|time| time.to_string()),
            token: text,
            project_id: view
                .project
                .as_str()
                .parse()
                .map_err(|error: std::num::ParseIntError| Refused::failed(error))?,
            status: view.status,
            created_at: view.created_at.to_string(),
            last_used_at: view.last_used_at.map(|time| time.to_string()),
            scopes: view.scopes.as_str().into(),
            kind: view.kind,
            issuer: view
                .issuer
                .map(|issuer| IssuerObject { public_id: issuer.id.as_str().into(), bound: issuer.bound }),
            last_used_from: view.last_used_from.as_ref().map(|from| OriginObject {
                address: from.address,
                client: from.client.as_ref().map(|client| client.as_str().into()),
            }),
        })
    }

    pub fn masked(token: &OwnToken, user: &User) -> Result<Self, Refused> {
        Self::new(token, user, format!("{}_****", token.view.public_part))
    }
}

/// All fields that a client may name. Whose token it is comes from the session, so an `owner` or `user_id` is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTokenBody {
    pub name: String,
    /// Left out is the policy's default, `null` is never: only a custom reader tells them apart.
    #[serde(default, deserialize_with = "present")]
    pub expires: Option<Value>,
    pub project_id: Option<Value>,
    /// Separated by spaces. Left out is the service's default, for clients that know no scopes; empty grants none.
    #[serde(default = "default_scopes")]
    pub scopes: String,
}

/// All fields of a token for an agent. Whose it is and where it works comes from the token that issues it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentBody {
    pub name: String,
    /// Left out is the policy's default for agents, or less where the issuing token ends before.
    #[serde(default, deserialize_with = "present")]
    pub expires: Option<Value>,
    /// Separated by spaces. They have to be named: an agent gets as little as it needs.
    pub scopes: String,
}

fn default_scopes() -> String {
    scopes::DEFAULT.into()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// Left out is a day, `null` is none.
    #[serde(default, deserialize_with = "present")]
    pub grace: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct RevokeAllBody {
    /// Only where it is left out all projects are meant. A `null` is refused: it may be a mistake, and cannot be undone.
    #[serde(default, deserialize_with = "present")]
    pub project_id: Option<Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The number of a project, as a body names it.
pub fn project_number(value: &Value) -> Result<i64, Refused> {
    value.as_i64().filter(|id| *id > 0).ok_or(Refused::InvalidProject)
}

#[derive(Serialize)]
pub struct RevokedCount {
    pub revoked: u64,
}
