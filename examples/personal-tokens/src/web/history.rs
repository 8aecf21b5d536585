//! The page of one token: what happened to it.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Html;
use keyfob::{Actor, Timestamp, TokenView};

use crate::app::App;
use crate::tokens::own::{self, Refused};
use crate::web::error::{PageError, render};
use crate::web::rows::Time;
use crate::web::sessions::SignedIn;
use crate::web::view::View;

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    signed_in: SignedIn,
    back: String,
    view: TokenView,
    entries: Vec<Line>,
}

struct Line {
    at: Time,
    event: String,
    who: String,
    detail: String,
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
) -> Result<Html<String>, PageError> {
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    let back = View::of_project(&token.view.project).link();
    draw(&app, signed_in, token.view, back).await
}

/// The page of a token that the person may look at.
pub async fn draw(app: &App, signed_in: SignedIn, view: TokenView, back: String) -> Result<Html<String>, PageError> {
    app.audit.written().await;
    let now = app.tokens.now();
    let me = Actor::from(&signed_in.user.owner_id());
    let mut names = HashMap::new();
    let mut entries = Vec::new();
    for entry in app.audit.of(&view).await.map_err(Refused::failed)? {
        let at = Timestamp::from_unix_millis(entry.at).map_err(Refused::failed)?;
        let who = match entry.actor.as_str() {
            "" => "a request with the token".into(),
            actor if actor == me.as_str() => "you".into(),
            actor => match names.get(actor) {
                Some(name) => String::clone(name),
                None => {
                    let name = name_of(app, actor).await?;
                    names.insert(actor.to_owned(), name.clone());
                    name
                }
            },
        };
        let at = Time::ago(at, now);
        entries.push(Line { at, event: entry.event.replace('_', " "), who, detail: entry.detail });
    }
    render(&HistoryPage { signed_in, back, view, entries })
}

/// Returns the name of a person. An actor that is no person, such as a leak report, is its own
/// name.
async fn name_of(app: &App, actor: &str) -> Result<String, Refused> {
    let Ok(id) = actor.parse() else { return Ok(actor.into()) };
    let person = app.accounts.find(id).await.map_err(Refused::failed)?;
    Ok(person.map_or_else(|| format!("person {actor}"), |person| person.name))
}
