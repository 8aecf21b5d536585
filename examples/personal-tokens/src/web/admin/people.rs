//! The page with all people, and its dialogs.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Html;
use keyfob::{OwnerId, Timestamp};
use serde::Deserialize;

use crate::app::App;
use crate::people::directory::{self, Filter};
use crate::random;
use crate::tokens::counts;
use crate::tokens::own::Refused;
use crate::web::admin::confirm::Confirm;
use crate::web::admin::view::{Pager, View};
use crate::web::admin::{allow, said_of_tokens};
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::plural::{self, counted};
use crate::web::sessions::SignedIn;
use crate::web::standing::{Standing, Tone};
use crate::web::time_words::{self, Time};

pub const PATH: &str = "/admin/people";

#[derive(Template)]
#[template(path = "admin_people.html")]
struct PeoplePage<'a> {
    frame: Frame<'a>,
    view: &'a View,
    pager: Pager,
    people: Vec<Person>,
    dialog: Dialog,
    said: Option<String>,
}

impl PeoplePage<'_> {
    fn is_chosen(&self, filter: &Filter) -> bool {
        self.view.filter() == *filter
    }
}

/// A dialog of the page.
pub enum Dialog {
    None,
    Add(Draft),
    /// The link of a new invitation, which is shown only once.
    Invited {
        name: String,
        link: String,
        until: Time,
    },
    Confirm(Confirm),
}

/// The form that adds a person, with the values that the administrator has entered so far.
#[derive(Default)]
pub struct Draft {
    pub form: String,
    pub name: String,
    pub is_admin: bool,
    /// The error of the name, as a sentence.
    pub error: Option<String>,
}

/// A person, with the operations that an administrator can choose.
pub struct Person {
    pub id: i64,
    pub name: String,
    pub role: &'static str,
    pub standing: Standing,
    pub is_admin: bool,
    pub is_suspended: bool,
    pub is_invited: bool,
    pub is_removed: bool,
    /// Whether the person is the administrator who looks at the page.
    pub is_me: bool,
    pub live: u64,
    /// The number of projects in which the person has live tokens.
    pub projects: u64,
}

impl Person {
    /// Creates the person with the numbers of their live tokens. `me` is the administrator.
    pub async fn new(app: &App, person: directory::Person, me: i64) -> Result<Self, Refused> {
        let (now, live) = (app.tokens.now(), counts::live_by_project(app, &owner_id(person.id)).await?);
        let until = person.invited_until.map(Timestamp::from_unix_millis).transpose().map_err(Refused::failed)?;
        let role = if person.admin { "Administrator" } else { "Member" };
        Ok(Self {
            standing: standing(&person, until, now),
            id: person.id,
            role,
            is_admin: person.admin,
            is_suspended: person.suspended,
            is_invited: until.is_some(),
            is_removed: person.removed,
            is_me: person.id == me,
            live: live.iter().map(|(_, live)| live).sum(),
            projects: live.len() as u64,
            name: person.name,
        })
    }
}

/// Returns whether a person can sign in, in words.
fn standing(person: &directory::Person, invited_until: Option<Timestamp>, now: Timestamp) -> Standing {
    let (word, tone, detail, reason) = match invited_until {
        _ if person.removed => ("Removed", Tone::Over, None, None),
        _ if person.suspended => ("Suspended", Tone::Bad, None, Some("Tokens and sessions do not work")),
        Some(until) if until > now => {
            let until = format!("link valid until {}", time_words::day(until));
            ("Invited", Tone::Warn, Some(until), Some("Has not chosen a password yet"))
        }
        Some(_) => ("Invited", Tone::Bad, Some("link expired".into()), Some("Create a new invitation link")),
        None => ("Active", Tone::Good, None, None),
    };
    Standing { word, detail, tone, reason: reason.map(Into::into) }
}

/// The dialog that the URL opens, and the message that it selects.
#[derive(Deserialize)]
pub struct Asked {
    add: Option<String>,
    suspend: Option<i64>,
    remove: Option<i64>,
    withdraw: Option<i64>,
    #[serde(rename = "revoke-all")]
    revoke_all: Option<i64>,
    said: Option<String>,
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    view: Result<Query<View>, QueryRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let Query(view) = view.map_err(|_| PageError::NotFound)?;
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    let acts = [
        (asked.suspend, Act::Suspend),
        (asked.remove, Act::Remove),
        (asked.withdraw, Act::Withdraw),
        (asked.revoke_all, Act::RevokeAll),
    ];
    let chosen = acts.into_iter().find_map(|(id, act)| Some((id?, act)));
    let dialog = match chosen {
        Some((id, act)) => {
            let person = find(&app, id).await?;
            let confirm = confirm(&app, &person, act, &view).await?;
            // There is nothing to revoke if no token is live.
            confirm.map_or(Dialog::None, Dialog::Confirm)
        }
        None if asked.add.is_some() => {
            let form = random::hex128().map_err(Refused::failed)?;
            Dialog::Add(Draft { form, ..Draft::default() })
        }
        None => Dialog::None,
    };
    draw(&app, &signed_in, &view, dialog, asked.said.as_deref().and_then(said)).await
}

/// Returns the message that the parameter `said` selects.
fn said(word: &str) -> Option<String> {
    let text = match word {
        "suspended" => "The person is suspended. Their tokens and sessions do not work.",
        "reinstated" => "The person is reinstated. Their tokens work again, and they can sign in.",
        "appointed" => "The person is an administrator now.",
        "withdrawn" => "The person is a member now.",
        _ => return said_of_tokens(word, "person"),
    };
    Some(text.into())
}

/// Returns the person with this id, removed or not.
///
/// # Errors
/// Returns [`PageError::NotFound`] if there is no such person.
pub async fn find(app: &App, id: i64) -> Result<directory::Person, PageError> {
    directory::person(&app.db, id).await.map_err(Refused::failed)?.ok_or(PageError::NotFound)
}

/// Returns the id of a person in keyfob.
pub fn owner_id(id: i64) -> OwnerId {
    OwnerId::new(&id.to_string()).expect("a number is a valid owner id")
}

/// Draws the page with a dialog.
pub async fn draw(
    app: &App,
    signed_in: &SignedIn,
    view: &View,
    dialog: Dialog,
    said: Option<String>,
) -> Result<Html<String>, PageError> {
    let page = directory::people(&app.db, &view.q, view.filter(), view.number()).await.map_err(Refused::failed)?;
    let pager = Pager::new(&page, view, PATH);
    let mut people = Vec::with_capacity(page.rows.len());
    for person in page.rows {
        people.push(Person::new(app, person, signed_in.user.id).await?);
    }
    let frame = Frame::new(app, signed_in, Here::People, None).await?;
    render(&PeoplePage { frame, view, pager, people, dialog, said })
}

/// An operation on a person that the administrator must confirm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    Suspend,
    Remove,
    Withdraw,
    RevokeAll,
}

/// Returns the dialog that asks before an operation on a person. Returns `None` if the operation
/// would revoke the person's tokens and no token is live.
pub async fn confirm(
    app: &App,
    person: &directory::Person,
    act: Act,
    view: &View,
) -> Result<Option<Confirm>, PageError> {
    let live = counts::live_by_project(app, &owner_id(person.id)).await?;
    let (count, name) = (live.iter().map(|(_, live)| live).sum::<u64>(), &person.name);
    let in_projects = format!("{} in {}", counted(count, "live token"), counted(live.len() as u64, "project"));
    let path = format!("{PATH}/{}", person.id);
    let (word, title, says, button, is_typed) = match act {
        Act::Suspend => {
            let tokens =
                if count == 0 { "They have no live tokens.".into() } else { format!("This stops {in_projects}.") };
            let says = vec![
                format!("{name} cannot sign in, and their sessions end."),
                tokens,
                "You can reinstate them at any time. Their tokens then work again.".into(),
            ];
            ("suspend", format!("Suspend {name}?"), says, "Suspend".into(), false)
        }
        Act::Withdraw => {
            let says = vec![format!("{name} keeps their account and tokens, but cannot open these pages any more.")];
            ("withdraw", format!("Make {name} a member?"), says, "Make member".into(), false)
        }
        Act::Remove => {
            let tokens = match count {
                0 => "They have no live tokens.".into(),
                _ => format!("This revokes {in_projects}. Everything that uses them stops working."),
            };
            let says = vec![
                tokens,
                "They cannot sign in any more, and leave all projects. The audit trail keeps their name.".into(),
                "This cannot be undone. Another person may have the name afterwards.".into(),
            ];
            ("remove", format!("Remove {name}?"), says, "Remove".into(), true)
        }
        Act::RevokeAll if count == 0 => return Ok(None),
        Act::RevokeAll => {
            let says = vec![
                format!("This revokes {in_projects}. Everything that uses them stops working immediately."),
                "This cannot be undone. The person can still sign in and create new tokens.".into(),
            ];
            let button = format!("Revoke {}", counted(count, "token"));
            ("revoke-all", format!("Revoke all tokens of {name}?"), says, button, true)
        }
    };
    Ok(Some(Confirm {
        title,
        says,
        action: format!("{path}/{word}"),
        button,
        back: view.link(PATH),
        view: view.query(),
        expects: is_typed.then(|| name.clone()),
        ..Confirm::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> directory::Person {
        let name = "eve".into();
        directory::Person { id: 2, name, suspended: false, admin: false, removed: false, invited_until: None }
    }

    #[test]
    fn standing_of_people() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().expect("a time");
        let later = now.saturating_add(std::time::Duration::from_millis(1));
        let of = |person: directory::Person, until| {
            let standing = standing(&person, until, now);
            (standing.word, standing.tone, standing.detail)
        };
        assert_eq!(of(person(), None), ("Active", Tone::Good, None));
        let until = Some("link valid until 29 Nov".into());
        assert_eq!(of(person(), Some(later)), ("Invited", Tone::Warn, until));
        assert_eq!(of(person(), Some(now)), ("Invited", Tone::Bad, Some("link expired".into())));
        assert_eq!(of(directory::Person { suspended: true, ..person() }, Some(later)), ("Suspended", Tone::Bad, None));
        let removed = directory::Person { suspended: true, removed: true, ..person() };
        assert_eq!(of(removed, None), ("Removed", Tone::Over, None));
    }
}
