//! The alarms about leaked tokens: the cards above the list of tokens, and the page with all of
//! them.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{Html, Redirect};
use keyfob::{
    ProjectId, Timestamp, TokenId, TokenKey, TokenView,
    store::{FoldedName, ListQuery, PageSize, StatusFilter, StatusGroup},
};
use serde::Deserialize;

use crate::app::App;
use crate::leaks::told::{self, Leaked};
use crate::setup::PREFIX;
use crate::tokens::issued;
use crate::tokens::own::Refused;
use crate::web::draft::replacement;
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::plural;
use crate::web::sessions::SignedIn;
use crate::web::time_words::Time;
use crate::web::token::names::{Looks, Named, Names};
use crate::web::token::words;
use crate::web::view::{self, View};

/// The maximum number of cards above the list.
const MOST: u32 = 5;
/// The maximum number of cards on the page with all alarms.
const MOST_OF_ALL: u32 = 100;
/// The page with all alarms.
const PATH: &str = "/settings/leaks";

/// The alarms that a page shows.
pub struct Alarm {
    pub cards: Vec<Card>,
    /// The number of alarms that the page does not show.
    pub more: usize,
    /// The view of the list to which the page returns, as a form sends it.
    pub view: String,
    /// Whether the page shows only alarms.
    pub is_alone: bool,
}

/// A leaked token.
pub struct Card {
    pub name: String,
    /// The shortened public part of the token.
    pub id: String,
    /// The name and the number of the token's project.
    pub project: String,
    pub at: Time,
    /// The sender of the report, in words.
    pub reporter: String,
    /// The address at which the token was found. It is empty if the report names none.
    pub url: String,
    /// The number of tokens that ended with the leaked token because they were bound to it, such as
    /// "2 tokens". It is `None` if there are none.
    pub ended: Option<String>,
    /// The number of live tokens that the leaked token issued and that are not bound to it, in the
    /// same form.
    pub independent: Option<String>,
    /// The token that replaced the leaked token and still works.
    pub successor: Option<Named>,
    /// A live token of the same name that the owner created after the leak.
    pub renewed: Option<Named>,
    /// The address of the form for a similar token. It is `None` if the owner has left the project.
    pub replace: Option<String>,
    /// The address of the page of the token. It is `None` if the token was purged.
    pub history: Option<String>,
    /// The address of the form that dismisses the alarm.
    pub dismiss: String,
}

#[derive(Template)]
#[template(path = "all_leaks.html")]
struct LeaksPage<'a> {
    frame: Frame<'a>,
    alarm: Alarm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenForm {
    csrf: String,
    /// The view of the list to which the page returns. If it is missing, the page returns to the
    /// page with all alarms.
    view: Option<String>,
}

impl Alarm {
    /// Returns the alarms above the list of tokens. `view` is the view of the list.
    pub async fn of(app: &App, signed_in: &SignedIn, view: String) -> Result<Self, Refused> {
        let (cards, more) = cards(app, signed_in, MOST).await?;
        Ok(Self { cards, more, view, is_alone: false })
    }

    /// Returns the address of the page with all alarms.
    pub fn all(&self) -> &'static str {
        PATH
    }
}

async fn cards(app: &App, signed_in: &SignedIn, most: u32) -> Result<(Vec<Card>, usize), Refused> {
    let (leaked, more) = told::of_user(app, &signed_in.user, most).await.map_err(Refused::failed)?;
    let now = app.tokens.now();
    let mut cards = Vec::with_capacity(leaked.len());
    for one in leaked {
        cards.push(card(app, signed_in, one, now).await?);
    }
    Ok((cards, more))
}

async fn card(app: &App, signed_in: &SignedIn, leaked: Leaked, now: Timestamp) -> Result<Card, Refused> {
    let Leaked { key, name, found, bound_ended } = leaked;
    let user = &signed_in.user;
    let number = key.project.as_str().parse().map_err(|error| Refused::failed(Box::new(error)))?;
    let project = app.projects.find_of_user(user.id, number).await.map_err(Refused::failed)?;
    let token = app.tokens.get(&key).await.map_err(Refused::failed)?.filter(|view| view.owner == user.owner_id());
    let (mut history, mut successor, mut renewed) = (None, None, None);
    if let Some(view) = &token {
        let mut names = Names::new(app, view, user, Looks::Owner);
        names.remember([view]);
        let after = created_after(app, view, found.at).await?;
        names.load(view.rotated_to.into_iter().chain(after)).await?;
        renewed = after.map(|id| names.token(id));
        history = names.page(view.id);
        let is_live = |id: &TokenId| names.view(*id).is_some_and(|successor| successor.status.is_live());
        successor = view.rotated_to.filter(is_live).map(|id| names.token(id));
    }
    let replace = match &token {
        Some(view) => replacement(view),
        // The scopes of a purged token are not known.
        None => {
            let fields = [("project", key.project.as_str()), ("new", "1"), ("name", &name)];
            format!("{}?{}", view::PATH, serde_urlencoded::to_string(fields).map_err(Refused::failed)?)
        }
    };
    Ok(Card {
        name,
        id: short_id(&key),
        project: project.as_ref().map_or_else(|| format!("project {number}"), |one| format!("{} · {number}", one.name)),
        at: Time::ago(found.at, now),
        reporter: words::reporter(&found.reporter).into(),
        url: found.url,
        ended: plural::some(bound_ended, "token"),
        independent: plural::some(issued::independent(app, key).await? as u64, "token"),
        successor,
        renewed,
        replace: Some(replace).filter(|_| project.is_some()),
        history,
        dismiss: format!("{PATH}/{}/{}/seen", key.project, key.id),
    })
}

/// Returns the id of the latest live token that has the name, the owner and the project of a leaked
/// token and was created after the leak.
async fn created_after(app: &App, leaked: &TokenView, leak: Timestamp) -> Result<Option<TokenId>, Refused> {
    let mut query = ListQuery::new(leaked.project);
    query.owner = Some(leaked.owner.clone());
    query.status = Some(StatusFilter { group: StatusGroup::Live, at: app.tokens.now() });
    query.name_contains = Some(FoldedName::from(&leaked.name));
    query.most = PageSize::clamped(10);
    let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
    let later = |view: &TokenView| view.name == leaked.name && view.created_at > leak;
    Ok(page.items.into_iter().find(later).map(|view| view.id))
}

/// Returns the public part of a token with most of its id left out.
fn short_id(key: &TokenKey) -> String {
    let id = key.id.as_str();
    format!("{PREFIX}_{}_{}…{}", key.project, &id[..4], &id[id.len() - 4..])
}

/// Returns the page with all alarms.
pub async fn show(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Html<String>, PageError> {
    let (cards, more) = cards(&app, &signed_in, MOST_OF_ALL).await?;
    let alarm = Alarm { cards, more, view: String::new(), is_alone: true };
    let frame = Frame::new(&app, &signed_in, Here::Tokens, None).await?;
    render(&LeaksPage { frame, alarm })
}

/// Answers the form that dismisses the alarm of a leaked token.
pub async fn seen(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((project, id)): Path<(String, String)>,
    Form(form): Form<SeenForm>,
) -> Result<Redirect, PageError> {
    signed_in.check_form(&form.csrf)?;
    let (Ok(project), Ok(id)) = (ProjectId::new(&project), TokenId::new(&id)) else { return Err(PageError::NotFound) };
    told::seen(&app, &signed_in.user, &TokenKey { project, id }).await.map_err(Refused::failed)?;
    Ok(Redirect::to(&match form.view {
        Some(view) => View::parse(&view).link_with("said", "seen"),
        None => PATH.into(),
    }))
}

/// Answers the form that dismisses all alarms of the person.
pub async fn all_seen(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Form(form): Form<SeenForm>,
) -> Result<Redirect, PageError> {
    signed_in.check_form(&form.csrf)?;
    told::all_seen(&app, &signed_in.user).await.map_err(Refused::failed)?;
    Ok(Redirect::to(&View::default().link_with("said", "seen")))
}
