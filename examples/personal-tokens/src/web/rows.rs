//! A token as a row of the page.

use std::time::Duration;

use keyfob::{Status, Timestamp, TokenView};

use crate::tokens::own::OwnToken;
use crate::web::time_words;

pub struct Row {
    pub uuid: String,
    pub name: String,
    pub public_part: String,
    pub created: Time,
    pub last_used: Option<Time>,
    pub expires: Option<Time>,
    /// A class of the style sheet.
    pub expiry_class: &'static str,
    pub status: &'static str,
    pub status_class: &'static str,
    pub scopes: String,
    /// Until when it works still, where another token has taken over.
    pub grace: Option<Time>,
    /// Whether it was used since then.
    pub still_used: bool,
    pub can_rotate: bool,
    /// Whether it may be disabled (`false`) or enabled (`true`).
    pub can_switch: Option<bool>,
}

/// A time in words, for machines, and in full.
pub struct Time {
    pub words: String,
    pub exact: String,
    pub full: String,
}

impl Time {
    pub fn new(time: Timestamp, words: String) -> Self {
        Self { words, exact: time.to_string(), full: time_words::full(time) }
    }
}

const A_WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Row {
    /// A row of the page; `all` are the tokens beside it.
    pub fn new(token: &OwnToken, all: &[OwnToken], now: Timestamp) -> Self {
        let view: &TokenView = &token.view;
        let in_grace = |end: &Timestamp| view.status.is_live() && *end > now;
        let successor = all.iter().find(|other| Some(other.view.id) == view.rotated_to);
        let since = successor.map(|successor| successor.view.created_at);
        let (status, status_class) = match view.status {
            Status::Active => ("Active", "good"),
            Status::NotYetValid => ("Not valid yet", "warn"),
            Status::Pending => ("Waits for confirmation", "warn"),
            Status::Disabled => ("Disabled", "warn"),
            Status::Expired => ("Expired", "over"),
            Status::Lapsed => ("Never confirmed", "over"),
            Status::Rotated => ("Replaced", "over"),
            Status::Revoked => ("Deleted", "over"),
        };
        let (expiry_class, expires) = match view.expires_at {
            None => ("good", None),
            Some(end) if end <= now => ("over", Some(Time::new(end, time_words::ago(end, now)))),
            Some(end) if end.saturating_since(now) <= A_WEEK => {
                ("warn", Some(Time::new(end, time_words::ahead(end, now))))
            }
            Some(end) => ("good", Some(Time::new(end, time_words::ahead(end, now)))),
        };
        Self {
            uuid: token.name.uuid.to_string(),
            name: view.name.as_str().into(),
            public_part: view.public_part.clone(),
            created: Time::new(view.created_at, time_words::ago(view.created_at, now)),
            last_used: view.last_used_at.map(|time| Time::new(time, time_words::ago(time, now))),
            expires,
            expiry_class,
            status,
            status_class,
            scopes: view.scopes.to_string(),
            grace: view.grace_until.filter(in_grace).map(|end| Time::new(end, time_words::ahead(end, now))),
            still_used: since.is_some_and(|since| view.last_used_at.is_some_and(|used| used > since)),
            can_rotate: view.status == Status::Active && view.rotated_to.is_none(),
            can_switch: view.status.is_live().then_some(view.disabled.is_some()),
        }
    }
}
