//! The bodies of requests and responses of the token API.

use std::net::IpAddr;

use keyfob::{Status, TokenId, TokenKind, TokenView};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::people::accounts::User;
use crate::tokens::own::{OwnToken, Refused};
use crate::tokens::scopes;

/// A token in a response of the API. Existing clients know the first six fields, in this order. New
/// fields come after these six.
#[derive(Serialize)]
pub struct TokenObject {
    id: i64,
    uuid: String,
    user_id: i64,
    name: String,
    /// The time of expiry in RFC 3339 form, or `null` if the token never expires.
    expires: Option<String>,
    /// The text of the token. The response that issues the token contains it in clear text. In all
    /// other responses, the text is masked and shows nothing of the secret.
    token: String,
    project_id: i64,
    status: Status,
    created_at: String,
    last_used_at: Option<String>,
    /// The scopes, separated by spaces.
    scopes: String,
    kind: TokenKind,
    /// The token that issued this token. It is `null` if no token issued this token.
    issuer: Option<IssuerObject>,
    /// The origin of the last use of the token. It is `null` if the token was never used.
    last_used_from: Option<OriginObject>,
    /// The addresses and networks from which the token may be used, separated by spaces. If the
    /// text is empty, the token may be used from any address.
    addresses: String,
    /// The time until which a pending token must be confirmed. It is `null` if the token is
    /// confirmed, or need not be confirmed.
    confirm_by: Option<String>,
    /// The end of the grace period. It is `null` if the token was not rotated.
    grace_until: Option<String>,
    /// The public id of the token, which the text of the token contains. It is no secret.
    public_id: String,
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
    /// The `User-Agent` header of the client. It is `null` if it is not known.
    client: Option<String>,
}

impl TokenObject {
    /// Creates the description of a token. `text` is the token in clear text or its masked form.
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
            addresses: view.addresses.as_str().into(),
            confirm_by: view.confirm_by.map(|time| time.to_string()),
            grace_until: view.grace_until.map(|time| time.to_string()),
            public_id: view.id.as_str().into(),
        })
    }

    /// Creates the description of a token with its masked form.
    pub fn masked(token: &OwnToken, user: &User) -> Result<Self, Refused> {
        Self::new(token, user, masked(&token.view))
    }
}

/// Returns the masked form of a token, such as `demo_pat_2_16rk****Kcqr`. Existing clients show its
/// last four characters, so these are the last four of the public id. No token contains a star, so
/// the masked form cannot be mistaken for a token.
fn masked(view: &TokenView) -> String {
    const SHOWN: usize = 4;
    // The public part is ASCII, and ends with the id.
    let public = &view.public_part;
    let (start, end) = (public.len() - TokenId::LEN + SHOWN, public.len() - SHOWN);
    format!("{}****{}", &public[..start], &public[end..])
}

/// The body of a request that issues a token. The owner comes from the session, so a body with a
/// field such as `owner` or `user_id` is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTokenBody {
    pub name: String,
    /// The lifetime of the token. If the field is absent, the default of the policy applies. If the
    /// field is `null`, the token never expires. Distinguishing these two cases needs a custom
    /// deserializer.
    #[serde(default, deserialize_with = "present")]
    pub expires: Option<Value>,
    pub project_id: Option<Value>,
    /// The scopes, separated by spaces. If the field is absent, the token gets the default scope of
    /// the service, for clients that do not know scopes. If the field is empty, the token gets no
    /// scope.
    #[serde(default = "default_scopes")]
    pub scopes: String,
    /// The addresses and networks from which the token may be used, separated by spaces or commas.
    /// If the field is absent or empty, the token may be used from any address.
    #[serde(default)]
    pub addresses: String,
    /// The time within which the token must be confirmed. If the field is absent or `null`, the
    /// token works immediately.
    #[serde(default)]
    pub confirm_within: Option<Value>,
}

/// The body of a request that issues a token for an agent. The token gets the owner and the project
/// of its issuer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentBody {
    pub name: String,
    /// The lifetime of the token. If the field is absent, the policy's default for agents applies,
    /// but the token never expires later than its issuer.
    #[serde(default, deserialize_with = "present")]
    pub expires: Option<Value>,
    /// The scopes, separated by spaces. The field is required, because an agent should get as few
    /// scopes as it needs.
    pub scopes: String,
}

fn default_scopes() -> String {
    scopes::DEFAULT.into()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// The grace period of the old token. If the field is absent, the grace period is a day, or the
    /// maximum of the policy if this maximum is shorter. `null` means no grace period.
    #[serde(default, deserialize_with = "present")]
    pub grace: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameBody {
    pub name: String,
}

/// The body of a request that narrows a token. A field that is absent leaves the present value
/// unchanged. `null` is refused, because it may be mistaken for "no limit".
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NarrowBody {
    /// The scopes that the token keeps, separated by spaces.
    #[serde(default, deserialize_with = "text")]
    pub scopes: Option<String>,
    /// The addresses and networks that the token keeps, separated by spaces or commas.
    #[serde(default, deserialize_with = "text")]
    pub addresses: Option<String>,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct RevokeAllBody {
    /// The project in which the tokens are revoked. If the field is absent, the tokens in all
    /// projects are revoked. `null` is refused, because it may be a mistake, and revoking cannot be
    /// undone.
    #[serde(default, deserialize_with = "present")]
    pub project_id: Option<Value>,
}

/// Deserializes a field that is present. Returns `Some` even for `null`, so that `null` differs
/// from an absent field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads the number of a project from a field of a body.
///
/// # Errors
/// Returns [`Refused::InvalidProject`] if the value is not a positive whole number.
pub fn project_number(value: &Value) -> Result<i64, Refused> {
    value.as_i64().filter(|id| *id > 0).ok_or(Refused::InvalidProject)
}

#[derive(Serialize)]
pub struct RevokedCount {
    pub revoked: u64,
}
