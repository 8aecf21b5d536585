//! The page *Settings → Personal tokens*.
//!
//! The page works without JavaScript: a link that opens a dialog leads to the page with this dialog
//! open. The script makes dialogs modal, updates the list as a person types a search, copies texts,
//! and removes a new token from the page when its dialog closes.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Html;
use keyfob::{PlaintextToken, TokenKind, store::ListOrder};
use serde::Deserialize;

use crate::app::App;
use crate::connect::{PLACEHOLDER, Tool};
use crate::llm::models::{Model, choose};
use crate::people::projects::Project;
use crate::random;
use crate::tokens::own::{self, OwnToken, Refused};
use crate::tokens::{expiry, issued, listing, notices, scopes};
use crate::web::agents::AgentDraft;
use crate::web::alarm::Alarm;
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::pane::Pane;
use crate::web::rows::{self, Row};
use crate::web::sessions::SignedIn;
use crate::web::time_words::{self, Time};
use crate::web::view::{Column, SIZES, View};

/// The parameters in the page's URL that open a dialog or show a message. The other parameters of
/// the URL are the [`View`].
#[derive(Deserialize)]
pub struct Asked {
    new: Option<String>,
    delete: Option<String>,
    rotate: Option<String>,
    settings: Option<String>,
    agent: Option<String>,
    #[serde(default)]
    tool: String,
    said: Option<String>,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage<'a> {
    frame: Frame<'a>,
    project: &'a Project,
    models: &'a [Model],
    chosen: Option<&'a Model>,
    view: &'a View,
    columns: Columns,
    rows: Vec<Row>,
    earlier: Option<String>,
    later: Option<String>,
    allows_never: bool,
    dialog: Dialog<'a>,
    said: Option<&'static str>,
    alarm: Alarm,
    ending: Vec<Ending>,
    /// The number of tokens that end within a day and that the page does not name.
    more_ending: usize,
}

struct Columns {
    name: Column,
    created: Column,
    expires: Column,
}

/// A token that ends within a day, as the page shows it.
struct Ending {
    name: String,
    project: String,
    at: Time,
}

pub enum Dialog<'a> {
    None,
    New(Draft<'a>),
    Rotate {
        form: String,
        uuid: String,
        name: &'a str,
        /// The grace periods that the form offers, in hours and in words.
        graces: Vec<(u64, String)>,
        /// The grace period that the form selects, in hours.
        grace: u64,
        /// The number of tokens that end when the old token ends.
        issued: u64,
        error: Option<RotateFault>,
    },
    /// The dialog that shows a token which was just issued or rotated. The service knows the text
    /// of the token only at this moment.
    Issued {
        name: &'a str,
        token: &'a PlaintextToken,
        /// Whether the token ends with its issuer.
        is_bound: bool,
        pane: Pane,
    },
    /// The dialog in which a person issues a token for an agent. One of the person's tokens becomes
    /// the issuer of the new token.
    Agent(AgentDraft<'a>),
    Settings {
        name: &'a str,
        pane: Pane,
    },
    Delete {
        uuid: String,
        name: &'a str,
        /// The number of tokens that end when this token is revoked.
        issued: u64,
        error: Option<&'static str>,
    },
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
    pub fn issued(own: &'a OwnToken, token: &'a PlaintextToken, pane: Pane) -> Self {
        Self::Issued { name: own.view.name.as_str(), token, is_bound: issued::is_bound(&own.view), pane }
    }

    /// Returns the dialog that rotates a token. `grace` is the number of hours of the preselected
    /// grace period. If `grace` is `None`, or if the form does not offer it, the dialog preselects
    /// the longest offered grace period of at most a day.
    pub async fn rotate(
        app: &App,
        token: &'a OwnToken,
        form: String,
        grace: Option<u64>,
        error: Option<RotateFault>,
    ) -> Result<Self, Refused> {
        let graces = expiry::offered_graces(app.tokens.policy().max_grace());
        let day = graces.iter().copied().filter(|hours| *hours <= 24).max().expect("the least is at most a day");
        let grace = grace.filter(|hours| graces.contains(hours)).unwrap_or(day);
        let graces = graces.into_iter().map(|hours| (hours, time_words::grace(hours))).collect();
        let issued = issued::bound(app, &token.view).await?;
        let (uuid, name) = (token.name.uuid.to_string(), token.view.name.as_str());
        Ok(Self::Rotate { form, uuid, name, graces, grace, issued, error })
    }
}

/// The form that issues a token, with the values that the person has entered so far.
pub struct Draft<'a> {
    pub form: String,
    pub name: &'a str,
    pub amount: &'a str,
    pub unit: &'a str,
    pub scopes: Vec<&'a str>,
    pub error: Option<String>,
}

/// The list of tokens that a page shows: the project, the view of the list, and the models that the
/// person can choose.
pub struct Scene {
    pub project: Project,
    pub view: View,
    pub models: Vec<Model>,
}

impl Scene {
    /// Creates the scene for this view of the list of tokens. If `project` is given, the scene
    /// shows this project instead of the view's project.
    pub async fn new(app: &App, signed_in: &SignedIn, mut view: View, project: Option<i64>) -> Result<Self, Refused> {
        let project = own::project_of(app, &signed_in.user, project.or(view.project)).await?;
        view.project = Some(project.id);
        let models = app.models.of_project(&app.projects, &project).await.map_err(Refused::failed)?;
        Ok(Self { project, view, models })
    }

    /// Creates the scene for the project of a token. `view` is the text form of the
    /// [`View`], which may be empty.
    pub async fn of_token(app: &App, signed_in: &SignedIn, view: &str, token: &OwnToken) -> Result<Self, Refused> {
        let project = token.view.project.as_str().parse().map_err(|error| Refused::failed(Box::new(error)))?;
        Self::new(app, signed_in, View::parse(view), Some(project)).await
    }

    /// Returns the model that settings files name: the model that the person chose in the view. If
    /// the person chose none, returns the model that the project suggests. Returns `None` if the
    /// project suggests no model either.
    pub fn chosen(&self) -> Option<&Model> {
        let named = self.models.iter().find(|model| model.integration_uid() == self.view.integration);
        named.or_else(|| choose(&self.models, &self.project))
    }

    /// Returns the address of the list with a message about a finished operation. `done` is the
    /// word that selects the message, such as `deleted`.
    pub fn link_after(&self, done: &str) -> String {
        self.view.link_with("said", done)
    }
}

pub async fn draw(
    app: &App,
    signed_in: &SignedIn,
    scene: &Scene,
    dialog: Dialog<'_>,
    said: Option<&'static str>,
) -> Result<Html<String>, PageError> {
    let Scene { project, view, models } = scene;
    let listing = view.listing().map_err(Refused::Search)?;
    let page = listing::page(app, &signed_in.user, project, listing).await?;
    let now = app.tokens.now();
    let link = |turn: fn(&View, &keyfob::TokenView) -> View, row: Option<&OwnToken>| {
        row.map(|row| turn(view, &row.view).link())
    };
    let earlier = if page.earlier { link(View::ahead_of, page.tokens.first()) } else { None };
    let later = if page.later { link(View::behind, page.tokens.last()) } else { None };
    let (ending, more_ending) = notices::of_user(app, &signed_in.user).await?;
    render(&TokensPage {
        frame: Frame::new(app, signed_in, Here::Tokens, Some(project.id)).await?,
        project,
        models,
        chosen: scene.chosen(),
        view,
        columns: Columns {
            name: view.column(ListOrder::Name),
            created: view.column(ListOrder::Created),
            expires: view.column(ListOrder::Expires),
        },
        rows: rows::of(app, &page.tokens, now).await?,
        earlier,
        later,
        allows_never: app.tokens.policy().lifetimes(TokenKind::Human).never_expiring,
        dialog,
        said,
        alarm: Alarm::of(app, signed_in, view.query()).await?,
        ending: ending
            .into_iter()
            .map(|(project, view, end)| Ending { name: view.name.as_str().into(), project, at: Time::ahead(end, now) })
            .collect(),
        more_ending,
    })
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    headers: HeaderMap,
    view: Result<Query<View>, QueryRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Query(view) = view.map_err(|_| PageError::NotFound)?;
    let Query(Asked { new, delete, rotate, settings, agent, tool, said }) = asked.map_err(|_| PageError::NotFound)?;
    let scene = Scene::new(&app, &signed_in, view, None).await?;
    let named = [&delete, &rotate, &agent, &settings].into_iter().find_map(Option::as_ref);
    let token = match named {
        Some(uuid) => Some(own::find(&app, &signed_in.user, uuid).await?),
        None => None,
    };
    let dialog = match &token {
        Some(token) => {
            let (uuid, name) = (token.name.uuid.to_string(), token.view.name.as_str());
            if delete.is_some() {
                let issued = issued::bound(&app, &token.view).await?;
                Dialog::Delete { uuid, name, issued, error: None }
            } else if rotate.is_some() {
                let form = random::hex128().map_err(Refused::failed)?;
                Dialog::rotate(&app, token, form, None, None).await?
            } else if agent.is_some() {
                Dialog::Agent(AgentDraft::new(&app, token, random::hex128().map_err(Refused::failed)?))
            } else {
                let pane = Pane::new(&app, &headers, &scene, token, &tool, None);
                Dialog::Settings { name, pane }
            }
        }
        None if new.is_some() => Dialog::New(Draft {
            form: random::hex128().map_err(Refused::failed)?,
            name: "",
            amount: "30",
            unit: "days",
            scopes: vec![scopes::DEFAULT],
            error: None,
        }),
        None => Dialog::None,
    };
    let said = match said.as_deref() {
        Some("deleted-all") => Some("The token and everything it issued have stopped working."),
        Some("deleted") => Some("The token is revoked and has stopped working."),
        Some("disabled") => Some("The token is disabled: it does not work until you enable it."),
        Some("enabled") => Some("The token works again."),
        Some("seen") => {
            Some("Alarm dismissed. Check who may have used the token, and create a new one if you still need it.")
        }
        Some("ended") => Some("The old token has stopped working."),
        _ => None,
    };
    draw(&app, &signed_in, &scene, dialog, said).await
}
