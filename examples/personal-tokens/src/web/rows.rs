//! The rows of the list of tokens.

use std::time::Duration;

use keyfob::{Status, Timestamp, TokenKey, TokenView};

use crate::app::App;
use crate::tokens::issued;
use crate::tokens::own::{OwnToken, Refused};
use crate::web::standing::{is_in_grace, used_from};
use crate::web::time_words::{self, Time};

pub struct Row {
    pub uuid: String,
    pub name: String,
    pub public_part: String,
    pub created: Time,
    pub last_used: Option<Time>,
    pub expires: Option<Time>,
    /// The CSS class of the expiry.
    pub expiry_class: &'static str,
    pub status: String,
    pub status_class: &'static str,
    pub scopes: String,
    /// The name of the token that issued this token, if there is one.
    pub agent_of: Option<String>,
    /// The origin of the last use of the token, in words.
    pub used_from: Option<String>,
    /// Whether the owner may use this token to issue a token for an agent.
    pub can_issue: bool,
    /// Whether the token was rotated and still works.
    pub in_grace: bool,
    /// Whether the token was used after it was rotated.
    pub still_used: bool,
    /// Whether the token is live. If it is, the row offers settings of tools.
    pub is_live: bool,
    pub can_rotate: bool,
    /// The switch that the row offers. `Some(true)` means that the row offers to enable the token,
    /// because the token is disabled. `Some(false)` means that the row offers to disable the token.
    /// `None` means that the row offers neither, because the token is not live.
    pub can_switch: Option<bool>,
}

const A_WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Returns the rows for the tokens of one page.
pub async fn of(app: &App, tokens: &[OwnToken], now: Timestamp) -> Result<Vec<Row>, Refused> {
    let mut rows = Vec::with_capacity(tokens.len());
    for token in tokens {
        // Read the time of the rotation for each token within its grace period. A page has few such
        // tokens.
        let replaced = match token.view.rotated_to {
            Some(id) if token.view.status.is_live() => {
                let key = TokenKey { project: token.view.project, id };
                let successor = app.tokens.get(&key).await.map_err(Refused::failed)?;
                successor.map(|successor| successor.created_at)
            }
            _ => None,
        };
        let issuer = issued::issuer_of(app, &token.view).await?;
        let can_issue = issued::may_issue(app, &token.view);
        rows.push(Row { can_issue, ..Row::new(token, issuer.as_ref(), replaced, now) });
    }
    Ok(rows)
}

/// Returns the status of a token and its class in the style sheet. `issuer` is the token that
/// issued this token, if the issuer still exists.
pub fn status(view: &TokenView, issuer: Option<&TokenView>) -> (String, &'static str) {
    let (status, class) = match view.status {
        Status::Active if is_in_grace(view) => {
            let until = view.grace_until.or(view.expires_at).map(time_words::day);
            let status = until.map_or_else(|| "Replaced".into(), |day| format!("Replaced · works until {day}"));
            return (status, "warn");
        }
        Status::Active => ("Active", "good"),
        Status::NotYetValid => ("Not yet valid", "warn"),
        Status::Pending => ("Pending", "warn"),
        Status::Disabled => ("Disabled", "warn"),
        // The token works again if its issuer works again.
        Status::IssuerEnded if issuer.is_some_and(|issuer| may_work_again(issuer.status)) => {
            ("Blocked by its issuer", "warn")
        }
        Status::IssuerEnded => ("Ended with its issuer", "over"),
        Status::Expired => ("Expired", "over"),
        Status::Lapsed => ("Not confirmed in time", "over"),
        Status::Rotated => ("Replaced", "over"),
        Status::Revoked => ("Revoked", "over"),
    };
    (status.into(), class)
}

fn may_work_again(status: Status) -> bool {
    status.is_live() || status == Status::IssuerEnded
}

/// Returns the name of an issuer, or `id` if the issuer no longer exists.
pub fn issuer_name(id: &str, issuer: Option<&TokenView>) -> String {
    issuer.map_or(id, |issuer| issuer.name.as_str()).into()
}

impl Row {
    /// Creates the row of a token. `replaced` is the time of the rotation, if the token is within
    /// its grace period.
    fn new(token: &OwnToken, issuer_view: Option<&TokenView>, replaced: Option<Timestamp>, now: Timestamp) -> Self {
        let view: &TokenView = &token.view;
        // During the grace period, the row shows when the grace period ends.
        let in_grace = is_in_grace(view);
        let end = if in_grace { view.grace_until.or(view.expires_at) } else { view.expires_at };
        let (status, status_class) = status(view, issuer_view);
        let (expiry_class, expires) = match end {
            None => ("good", None),
            Some(end) if end <= now => ("over", Some(Time::ago(end, now))),
            Some(end) if end.saturating_since(now) <= A_WEEK => ("warn", Some(Time::ahead(end, now))),
            Some(end) => ("good", Some(Time::ahead(end, now))),
        };
        Self {
            uuid: token.name.uuid.to_string(),
            name: view.name.as_str().into(),
            public_part: view.public_part.clone(),
            created: Time::ago(view.created_at, now),
            last_used: view.last_used_at.map(|time| Time::ago(time, now)),
            expires,
            expiry_class,
            status,
            status_class,
            scopes: view.scopes.to_string(),
            agent_of: view.issuer.map(|issuer| issuer_name(issuer.id.as_str(), issuer_view)),
            used_from: used_from(view),
            can_issue: false,
            in_grace,
            still_used: replaced.is_some_and(|since| view.last_used_at.is_some_and(|used| used > since)),
            is_live: view.status.is_live(),
            can_rotate: view.status == Status::Active && view.rotated_to.is_none(),
            can_switch: view.status.is_live().then_some(view.disabled.is_some()),
        }
    }
}
