//! The rows of the list of tokens.

use keyfob::{Status, Timestamp, TokenView, owners::OwnerState};

use crate::app::App;
use crate::tokens::issued;
use crate::tokens::own::{OwnToken, Refused};
use crate::web::draft::replacement;
use crate::web::standing::{Around, End, PublicId, Standing, is_in_grace, used_from};
use crate::web::time_words::Time;

pub struct Row {
    pub uuid: String,
    pub name: String,
    pub id: PublicId,
    pub created: Time,
    pub standing: Standing,
    pub end: End,
    pub last_used: Option<Time>,
    /// The origin of the last use of the token, in words.
    pub used_from: Option<String>,
    pub scopes: String,
    /// The name of the token that issued this token, if there is one.
    pub agent_of: Option<String>,
    /// The token that replaced this token: its name, its shortened public part and its page.
    pub successor: Option<(String, String, String)>,
    /// Whether the token was used after it was rotated.
    pub still_used: bool,
    /// The operation that the row offers as a button.
    pub first: First,
    pub is_live: bool,
    pub in_grace: bool,
    pub is_revoked: bool,
    pub is_disabled: bool,
    pub can_rotate: bool,
    /// Whether the owner may use this token to issue a token for an agent.
    pub can_issue: bool,
    /// The address of the form for a new token with the same name, project and scopes.
    pub replacement: String,
}

/// The operation that a row offers as a button. The menu of the row has the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum First {
    SetUp,
    EndGrace,
    Enable,
    Confirm,
    Replace,
    /// The token has ended and has a successor, so there is nothing left to do.
    History,
}

/// Returns the rows for the tokens of one page. All tokens are in a project that their owner can
/// use.
pub async fn of(app: &App, tokens: &[OwnToken], user: i64, now: Timestamp) -> Result<Vec<Row>, Refused> {
    // The successors of a page are usually on the same page, so their names exist already.
    let mut successors: Vec<_> = tokens.iter().filter_map(|token| token.view.rotated_to).collect();
    successors.dedup();
    let names = match tokens.first() {
        Some(token) => app.names.of_all(&token.view.project, &successors, user).await.map_err(Refused::failed)?,
        None => return Ok(Vec::new()),
    };
    let mut rows = Vec::with_capacity(tokens.len());
    for token in tokens {
        let successor = match token.view.rotated_to {
            Some(id) => {
                let key = keyfob::TokenKey { project: token.view.project, id };
                app.tokens.get(&key).await.map_err(Refused::failed)?
            }
            None => None,
        };
        let issuer = issued::issuer_of(app, &token.view).await?;
        let around = Around { policy: app.tokens.policy(), owner: OwnerState::Active, issuer: issuer.as_ref(), now };
        let mut row = Row::new(token, &around);
        row.can_issue = issued::may_issue(app, &token.view);
        if let Some(successor) = &successor {
            row.still_used = token.view.last_used_at.is_some_and(|used| used > successor.created_at);
            let page =
                names.get(&successor.id).map_or_else(String::new, |name| format!("/settings/tokens/{}", name.uuid));
            row.successor = Some((successor.name.as_str().into(), PublicId::of(successor).short(), page));
        }
        rows.push(row);
    }
    Ok(rows)
}

impl Row {
    fn new(token: &OwnToken, around: &Around<'_>) -> Self {
        let view = &token.view;
        let standing = Standing::of(view, around);
        let (is_live, in_grace) = (view.status.is_live(), is_in_grace(view));
        let first = match view.status {
            Status::Disabled => First::Enable,
            Status::Pending => First::Confirm,
            _ if in_grace => First::EndGrace,
            _ if !is_live && view.rotated_to.is_some() => First::History,
            _ if !is_live || standing.reason.is_some() => First::Replace,
            _ => First::SetUp,
        };
        Self {
            uuid: token.name.uuid.to_string(),
            name: view.name.as_str().into(),
            id: PublicId::of(view),
            created: Time::ago(view.created_at, around.now),
            standing,
            end: End::of(view, around.now),
            last_used: view.last_used_at.map(|time| Time::ago(time, around.now)),
            used_from: used_from(view),
            scopes: view.scopes.to_string(),
            agent_of: view.issuer.map(|issuer| issuer_name(issuer.id.as_str(), around.issuer)),
            successor: None,
            still_used: false,
            first,
            is_live,
            in_grace,
            is_revoked: view.status == Status::Revoked,
            is_disabled: view.disabled.is_some(),
            can_rotate: view.status == Status::Active && view.rotated_to.is_none(),
            can_issue: false,
            replacement: replacement(view),
        }
    }
}

/// Returns the name of an issuer, or `id` if the issuer no longer exists.
pub fn issuer_name(id: &str, issuer: Option<&TokenView>) -> String {
    issuer.map_or(id, |issuer| issuer.name.as_str()).into()
}
