//! The page of one token: the tokens that it issued, and its audit trail.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Html;
use keyfob::{Actor, Status, Timestamp, TokenId, TokenKey, TokenView};

use crate::app::App;
use crate::tokens::audit::ISSUED_TOKEN;
use crate::tokens::issued;
use crate::tokens::own::{self, Refused};
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::rows;
use crate::web::sessions::SignedIn;
use crate::web::standing;
use crate::web::time_words::Time;
use crate::web::view::View;

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage<'a> {
    frame: Frame<'a>,
    back: String,
    view: TokenView,
    last_used: Option<Time>,
    used_from: Option<String>,
    /// The name of the issuer, and the address of its page if the person may see that page. It is
    /// `None` if the token has no issuer.
    issuer: Option<(String, Option<String>)>,
    /// The addresses of the dialogs that the owner can open from this page. It is `None` for an
    /// administrator.
    links: Option<Links>,
    issued: Issued,
    entries: Vec<Line>,
}

/// The addresses of dialogs on the page with the list of tokens.
struct Links {
    /// The address of the dialog that issues a token for an agent. It is `None` if the token
    /// may not issue tokens.
    agent: Option<String>,
    revoke: String,
}

/// The tokens that a token has issued, as a nested list.
#[derive(Template)]
#[template(path = "issued.html")]
struct Issued {
    branches: Vec<Branch>,
    more: bool,
}

struct Branch {
    name: String,
    page: Option<String>,
    public_part: String,
    status: String,
    status_class: &'static str,
    scopes: String,
    is_bound: bool,
    last_used: Option<Time>,
    used_from: Option<String>,
    expires: Option<Time>,
    below: Issued,
}

/// The kind of person that looks at the page. It decides which pages the links lead to.
#[derive(Clone, Copy, PartialEq)]
enum Looks {
    /// The owner looks at a token of their own.
    Owner,
    /// An administrator, who can look at the tokens of all people.
    Administrator,
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
    let list = View::of_project(&token.view.project);
    let links = Links {
        agent: issued::may_issue(&app, &token.view).then(|| list.link_with("agent", &uuid)),
        revoke: list.link_with("delete", &uuid),
    };
    draw(&app, signed_in, token.view, list.link(), Some(links)).await
}

/// Returns the page of any token, for an administrator.
pub async fn show_any(
    app: &App,
    signed_in: SignedIn,
    view: TokenView,
    back: String,
) -> Result<Html<String>, PageError> {
    draw(app, signed_in, view, back, None).await
}

async fn draw(
    app: &App,
    signed_in: SignedIn,
    view: TokenView,
    back: String,
    links: Option<Links>,
) -> Result<Html<String>, PageError> {
    app.audit.written().await;
    let now = app.tokens.now();
    let looks = if links.is_some() { Looks::Owner } else { Looks::Administrator };
    let mut names = Names { app, view: &view, me: Actor::from(&signed_in.user.owner_id()), known: HashMap::new() };
    let mut entries = Vec::new();
    for entry in app.audit.of(&view).await.map_err(Refused::failed)? {
        let at = Timestamp::from_unix_millis(entry.at).map_err(Refused::failed)?;
        let who = names.of_actor(&entry.actor).await?;
        let detail = match entry.event.as_str() {
            ISSUED_TOKEN => names.of_token(&entry.detail).await?,
            _ => entry.detail,
        };
        entries.push(Line { at: Time::ago(at, now), event: entry.event.replace('_', " "), who, detail });
    }
    let tree = issued::tree(app, &view.key()).await?;
    let mut pages = HashMap::new();
    if looks == Looks::Owner {
        let mut ids = Vec::new();
        collect(&tree.branches, &mut ids);
        ids.extend(view.issuer.map(|issuer| issuer.id));
        let of_all = app.names.of_all(&view.project, &ids, signed_in.user.id).await.map_err(Refused::failed)?;
        pages.extend(of_all.into_iter().map(|(id, name)| (id, format!("/settings/tokens/{}", name.uuid))));
    }
    let page = |of: &TokenView| match looks {
        Looks::Administrator => Some(format!("/admin/tokens/{}/{}", of.project, of.id)),
        // A revoked token has no page for its owner.
        Looks::Owner => pages.get(&of.id).filter(|_| of.status != Status::Revoked).cloned(),
    };
    let issuer = match view.issuer {
        Some(issuer) => {
            let found = issued::issuer_of(app, &view).await?;
            Some((rows::issuer_name(issuer.id.as_str(), found.as_ref()), found.as_ref().and_then(page)))
        }
        None => None,
    };
    let issued = Issued { branches: branches(app, tree.branches, &view, now, &page), more: tree.more };
    let used_from = standing::used_from(&view);
    let last_used = view.last_used_at.map(|time| Time::ago(time, now));
    let project = view.project.as_str().parse().ok();
    let here = if links.is_some() { Here::Tokens } else { Here::Elsewhere };
    let frame = Frame::new(app, &signed_in, here, project).await?;
    render(&HistoryPage { frame, back, view, last_used, used_from, issuer, links, issued, entries })
}

fn collect(branches: &[issued::Branch], ids: &mut Vec<TokenId>) {
    for branch in branches {
        ids.push(branch.view.id);
        collect(&branch.below, ids);
    }
}

fn branches(
    app: &App,
    branches: Vec<issued::Branch>,
    issuer: &TokenView,
    now: Timestamp,
    page: &impl Fn(&TokenView) -> Option<String>,
) -> Vec<Branch> {
    let branch = |issued::Branch { view, below }| {
        let (status, status_class) = rows::status(app, &view, Some(issuer));
        let expires = |end| if end <= now { Time::ago(end, now) } else { Time::ahead(end, now) };
        let below = self::branches(app, below, &view, now, page);
        Branch {
            page: page(&view),
            status,
            status_class,
            scopes: view.scopes.to_string(),
            is_bound: issued::is_bound(&view),
            last_used: view.last_used_at.map(|time| Time::ago(time, now)),
            used_from: standing::used_from(&view),
            expires: view.expires_at.map(expires),
            name: view.name.as_str().into(),
            public_part: view.public_part,
            below: Issued { branches: below, more: false },
        }
    };
    branches.into_iter().map(branch).collect()
}

/// The names of the people and tokens in an audit trail. The name of each actor is looked up once.
struct Names<'a> {
    app: &'a App,
    /// The token whose page is shown.
    view: &'a TokenView,
    /// The person who looks at the page.
    me: Actor,
    known: HashMap<String, String>,
}

impl Names<'_> {
    async fn of_actor(&mut self, actor: &str) -> Result<String, Refused> {
        if actor.is_empty() {
            return Ok("a request with the token".into());
        }
        if actor == self.me.as_str() {
            return Ok("you".into());
        }
        if let Some(name) = self.known.get(actor) {
            return Ok(name.clone());
        }
        let name = match actor.strip_prefix("token ").and_then(|public_part| public_part.rsplit('_').next()) {
            Some(id) => format!("token {}", self.of_token(id).await?),
            None => self.of_person(actor).await?,
        };
        self.known.insert(actor.into(), name.clone());
        Ok(name)
    }

    /// Returns the name and the id of a token if it has the same project and owner as the token of
    /// the page. For another token, and for a token that no longer exists, returns only the id.
    async fn of_token(&self, id: &str) -> Result<String, Refused> {
        let Ok(token) = TokenId::new(id) else { return Ok(id.into()) };
        let key = TokenKey { project: self.view.project, id: token };
        let found = self.app.tokens.get(&key).await.map_err(Refused::failed)?;
        let found = found.filter(|found| found.owner == self.view.owner);
        Ok(found.map_or_else(|| id.into(), |found| format!("“{}” ({id})", found.name)))
    }

    /// Returns the name of a person. An actor that is not a person, such as "a leak report", is
    /// returned unchanged.
    async fn of_person(&self, actor: &str) -> Result<String, Refused> {
        let Ok(id) = actor.parse() else { return Ok(actor.into()) };
        let person = self.app.accounts.find(id).await.map_err(Refused::failed)?;
        Ok(person.map_or_else(|| format!("person {actor}"), |person| person.name))
    }
}
