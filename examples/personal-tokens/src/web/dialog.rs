//! The dialogs of the page with the list of tokens.

use std::time::Duration;

use keyfob::{PlaintextToken, TokenKey, TokenView};

use crate::app::App;
use crate::random;
use crate::tokens::issued;
use crate::tokens::own::{OwnToken, Refused};
use crate::tokens::{expiry, scopes};
use crate::web::agents::AgentDraft;
use crate::web::draft::Draft;
use crate::web::error::in_words;
use crate::web::pane::Pane;
use crate::web::standing::{End, PublicId};
use crate::web::time_words::{self, Time};

pub enum Dialog<'a> {
    None,
    New(Box<Draft>),
    Rotate {
        which: Which,
        form: String,
        /// The grace periods that the form offers, in hours and in words.
        graces: Vec<(u64, String)>,
        /// The grace period that the form selects, in hours.
        grace: u64,
        /// The number of tokens that end when the old token ends.
        issued: u64,
        error: Option<RotateFault>,
    },
    /// The dialog that ends the grace period of a rotated token.
    EndGrace {
        which: Which,
        last_used: Option<Time>,
        /// Whether the token was used after it was rotated.
        still_used: bool,
    },
    Rename {
        which: Which,
        entered: String,
        fault: Option<String>,
    },
    Narrow {
        which: Which,
        /// The scopes of the token, each with a text that says what it allows and whether the form
        /// keeps it.
        scopes: Vec<(String, &'static str, bool)>,
        addresses: String,
        fault: Option<String>,
    },
    /// The dialog that shows a token which was just issued or rotated. The service knows the text
    /// of the token only at this moment.
    Issued {
        name: &'a str,
        token: &'a PlaintextToken,
        scopes: &'a str,
        end: End,
        /// Whether the token ends with its issuer.
        is_bound: bool,
        /// The time until which the token that this one replaced works. It is `None` if the token
        /// replaced none, or if the other token has ended.
        old_until: Option<Time>,
        pane: Pane,
    },
    /// The dialog in which a person issues a token for an agent. One of the person's tokens becomes
    /// the issuer of the new token.
    Agent(AgentDraft<'a>),
    SetUp {
        which: Which,
        pane: Pane,
    },
    Revoke {
        which: Which,
        /// The number of tokens that end when this token is revoked.
        issued: u64,
        error: Option<&'static str>,
    },
}

/// The token that a dialog is about, so that a person can tell it from another token of the same
/// name.
pub struct Which {
    pub uuid: String,
    pub name: String,
    pub id: PublicId,
    pub created: Time,
}

impl Which {
    pub fn of(app: &App, token: &OwnToken) -> Self {
        Self {
            uuid: token.name.uuid.to_string(),
            name: token.view.name.as_str().into(),
            id: PublicId::of(&token.view),
            created: Time::ago(token.view.created_at, app.tokens.now()),
        }
    }
}

/// The reason why a token was not rotated. The dialog shows each variant in a different place.
pub enum RotateFault {
    Grace(String),
    /// The predecessor of the token still works. `uuid` is the UUID of the predecessor, whose grace
    /// period a button can end.
    Predecessor {
        words: String,
        uuid: Option<String>,
    },
    Other(String),
}

impl<'a> Dialog<'a> {
    /// Returns the dialog that shows a token that was just issued.
    ///
    /// # Errors
    /// Returns [`Refused::Failed`] if the store fails.
    pub async fn issued(app: &App, own: &'a OwnToken, token: &'a PlaintextToken, pane: Pane) -> Result<Self, Refused> {
        let (view, is_bound, now) = (&own.view, issued::is_bound(&own.view), app.tokens.now());
        let end = End::of(view, now);
        let predecessor = app.tokens.predecessor(view).await.map_err(Refused::failed)?;
        let old = predecessor.map(|predecessor| predecessor.view).filter(|old| old.status.is_live());
        let old_until = old.and_then(|old| old.ends_at()).map(|end| Time::ahead(end, now));
        Ok(Self::Issued {
            name: view.name.as_str(),
            token,
            scopes: view.scopes.as_str(),
            end,
            is_bound,
            old_until,
            pane,
        })
    }

    /// Returns the dialog that rotates a token. `grace` is the number of hours of the preselected
    /// grace period. If `grace` is `None`, or if the form does not offer it, the dialog preselects
    /// the longest offered grace period of at most a day.
    pub async fn rotate(
        app: &App,
        token: &OwnToken,
        form: String,
        grace: Option<u64>,
        error: Option<RotateFault>,
    ) -> Result<Self, Refused> {
        let graces = expiry::offered_graces(app.tokens.policy().max_grace());
        let day = graces.iter().copied().filter(|hours| *hours <= 24).max().expect("the least is at most a day");
        let grace = grace.filter(|hours| graces.contains(hours)).unwrap_or(day);
        let now = app.tokens.now();
        let words = |hours: u64| match hours {
            0 => time_words::grace(0),
            _ => {
                let end = now.saturating_add(Duration::from_secs(hours * 60 * 60));
                format!("{}, until {}", time_words::grace(hours), time_words::on_page(end))
            }
        };
        let graces = graces.into_iter().map(|hours| (hours, words(hours))).collect();
        let issued = issued::bound(app, &token.view).await?;
        Ok(Self::Rotate { which: Which::of(app, token), form, graces, grace, issued, error })
    }

    /// Returns the dialog that ends the grace period of a rotated token. It shows whether the token
    /// is still used, according to the last uses that are stored now.
    ///
    /// # Errors
    /// Returns [`Refused::Failed`] if the store fails.
    pub async fn end_grace(app: &App, token: &OwnToken) -> Result<Self, Refused> {
        let view = &token.view;
        let successor = match view.rotated_to {
            Some(id) => {
                let key = TokenKey { project: view.project, id };
                app.tokens.get(&key).await.map_err(Refused::failed)?
            }
            None => None,
        };
        let used_after = |successor: &TokenView| view.last_used_at.is_some_and(|used| used > successor.created_at);
        let still_used = successor.as_ref().is_some_and(used_after);
        let last_used = view.last_used_at.map(|used| Time::ago(used, app.tokens.now()));
        Ok(Self::EndGrace { which: Which::of(app, token), last_used, still_used })
    }

    pub fn rename(app: &App, token: &OwnToken, entered: &str, refused: Option<&Refused>) -> Self {
        let fault = refused.map(in_words);
        Self::Rename { which: Which::of(app, token), entered: entered.into(), fault }
    }

    /// Returns the dialog that takes scopes or addresses from a token. `kept` and `addresses` are
    /// the values that the person has entered. If they are `None`, the form keeps everything.
    pub fn narrow(
        app: &App,
        token: &OwnToken,
        kept: Option<&[String]>,
        addresses: Option<&str>,
        refused: Option<&Refused>,
    ) -> Self {
        let is_kept = |scope: &str| kept.is_none_or(|kept| kept.iter().any(|one| one == scope));
        let scopes =
            token.view.scopes.iter().map(|scope| (scope.to_owned(), scopes::words(scope), is_kept(scope))).collect();
        let addresses = addresses.unwrap_or(token.view.addresses.as_str()).into();
        Self::Narrow { which: Which::of(app, token), scopes, addresses, fault: refused.map(in_words) }
    }

    pub async fn revoke(app: &App, token: &OwnToken, error: Option<&'static str>) -> Result<Self, Refused> {
        let issued = issued::bound(app, &token.view).await?;
        Ok(Self::Revoke { which: Which::of(app, token), issued, error })
    }
}

/// Returns a random id for a form.
pub fn form_id() -> Result<String, Refused> {
    random::hex128().map_err(Refused::failed)
}
