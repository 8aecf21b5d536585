//! What the token API is sent, and what it answers with.

use keyfob::Status;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::tokens::own::{OwnToken, Refused};
use crate::tokens::scopes;
use crate::web::sessions::SignedIn;

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
}

impl TokenObject {
    pub fn new(token: &OwnToken, signed_in: &SignedIn, text: String) -> Result<Self, Refused> {
        let view = &token.view;
        Ok(Self {
            id: token.name.id,
            uuid: token.name.uuid.to_string(),
            user_id: signed_in.user.id,
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
        })
    }

    pub fn masked(token: &OwnToken, signed_in: &SignedIn) -> Result<Self, Refused> {
        Self::new(token, signed_in, format!("{}_****", token.view.public_part))
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
