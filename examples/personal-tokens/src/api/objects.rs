//! The bodies of requests and answers of the token API.

use std::net::IpAddr;

use keyfob::{Status, TokenKind};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::people::accounts::User;
use crate::tokens::own::{OwnToken, Refused};
use crate::tokens::scopes;

/// A token in an answer of the API. Existing clients know the first six fields, in this order. New
/// fields come after them.
#[derive(Serialize)]
pub struct TokenObject {
    id: i64,
    uuid: String,
    user_id: i64,
    name: String,
    /// In RFC 3339, or `null` for never.
    expires: Option<String>,
    /// The whole token in the answer that issues it. In all other answers it is masked and shows
    /// nothing of the secret.
    token: String,
    project_id: i64,
    status: Status,
    created_at: String,
    last_used_at: Option<String>,
    /// Separated by spaces.
    scopes: String,
    kind: TokenKind,
    /// The token that issued it, if any.
    issuer: Option<IssuerObject>,
    /// Where its last use came from. `null` if it was never used.
    last_used_from: Option<OriginObject>,
}

#[derive(Serialize)]
struct IssuerObject {
    public_id: String,
    /// Whether the token ends with its issuer.
    bound: bool,
}

#[derive(Serialize)]
struct OriginObject {
    address: Option<IpAddr>,
    /// The `User-Agent` of the client.
    client: Option<String>,
}

impl TokenObject {
    /// Describes a token. `text` is the token itself or its masked form.
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

    /// Describes a token with its masked form.
    pub fn masked(token: &OwnToken, user: &User) -> Result<Self, Refused> {
        Self::new(token, user, format!("{}_****", token.view.public_part))
    }
}

/// The fields of a new token. The owner comes from the session, so a field such as `owner` or
/// `user_id` is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTokenBody {
    pub name: String,
    /// If absent, the policy's default. `null` means never. Only a custom deserializer
    /// distinguishes the two.
    #[serde(default, deserialize_with = "present")]
    pub expires: Option<Value>,
    pub project_id: Option<Value>,
    /// Separated by spaces. If absent, the service's default, for clients that know no scopes.
    /// Empty grants none.
    #[serde(default = "default_scopes")]
    pub scopes: String,
}

/// The fields of a token for an agent. The token gets the owner and the project of its issuer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentBody {
    pub name: String,
    /// If absent, the policy's default for agents, or the issuer's end if that is earlier.
    #[serde(default, deserialize_with = "present")]
    pub expires: Option<Value>,
    /// Separated by spaces. The field is required, because an agent should get as few as it needs.
    pub scopes: String,
}

fn default_scopes() -> String {
    scopes::DEFAULT.into()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// If absent, a day, or the policy's maximum if that is shorter. `null` means no grace period.
    #[serde(default, deserialize_with = "present")]
    pub grace: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct RevokeAllBody {
    /// If absent, all projects. `null` is refused, because it may be a mistake, and revoking cannot
    /// be undone.
    #[serde(default, deserialize_with = "present")]
    pub project_id: Option<Value>,
}

/// Reads a field that is present, so that `null` differs from an absent field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads the number of a project in a body.
///
/// # Errors
/// Returns [`Refused::InvalidProject`] if it is not a positive whole number.
pub fn project_number(value: &Value) -> Result<i64, Refused> {
    value.as_i64().filter(|id| *id > 0).ok_or(Refused::InvalidProject)
}

#[derive(Serialize)]
pub struct RevokedCount {
    pub revoked: u64,
}
