//! The page of one token, live or ended: a summary, the operations that its owner can start, its
//! uses by day, the tokens that it issued, and its audit trail in words.

pub mod links;
pub mod names;
pub mod timeline;
pub mod tree;
pub mod uses;
pub mod words;

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Html;
use keyfob::{Timestamp, TokenKey, TokenView, owners::Owners, rotation::Predecessor};
use serde::Deserialize;

use crate::app::App;
use crate::leaks::told;
use crate::people::owners::TokenOwners;
use crate::people::projects::Project;
use crate::tokens::own::{self, Refused};
use crate::tokens::uses as counts;
use crate::tokens::via::Via;
use crate::tokens::{issued, refusals, scopes, trail};
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::page::message;
use crate::web::plural::{self, counted};
use crate::web::sessions::SignedIn;
use crate::web::standing::{self, Around, End, PublicId, Standing, Tone};
use crate::web::time_words::Time;
use crate::web::token::links::Links;
use crate::web::token::names::{Looks, Named, Names, Who};
use crate::web::token::timeline::{Leak, Line, Part};
use crate::web::token::tree::Tree;
use crate::web::token::uses::{Chart, RefusedDay};
use crate::web::view::View;

/// The parameters of the page's URL.
#[derive(Deserialize)]
pub struct Asked {
    /// The position of a page of operations, from the link "Older".
    before: Option<i64>,
    /// The word of a finished operation, whose message the page shows.
    said: Option<String>,
    /// Whether the dialog is open in which an administrator revokes the token.
    revoke: Option<String>,
}

#[derive(Template)]
#[template(path = "token.html")]
struct TokenPage<'a> {
    frame: Frame<'a>,
    view: &'a TokenView,
    id: PublicId,
    /// The address of the page without parameters.
    here: String,
    back: String,
    said: Option<String>,
    summary: Summary,
    /// The operations that the page offers to the owner.
    links: Links,
    /// What the page offers to an administrator. It is `None` for the owner.
    admin: Option<Admin>,
    chart: Option<Chart>,
    refused: Vec<RefusedDay>,
    issued: Tree,
    lines: Vec<Line>,
    /// The sentences about tokens that the token issued without a person.
    own_issues: Vec<Line>,
    /// The number of these tokens, in words.
    own_issued: String,
    /// The position of the next page of operations.
    older: Option<i64>,
    /// Whether this is the first page of operations.
    is_first: bool,
}

/// The facts at the top of the page.
struct Summary {
    standing: Standing,
    /// The project and its number. It is `None` if the project no longer exists.
    project: Option<Project>,
    /// Whether the owner can use the project.
    is_member: bool,
    scopes: Vec<Scope>,
    addresses: String,
    created: Time,
    created_by: Who,
    /// The way in which the token was created, as the end of a sentence.
    created_how: &'static str,
    end: End,
    last_used: Option<Time>,
    used_from: Option<String>,
    issuer: Option<Named>,
    is_bound: bool,
    predecessor: Option<Named>,
    /// Whether the predecessor was used after this token was created.
    still_used: bool,
    successor: Option<Named>,
}

struct Scope {
    scope: String,
    /// A text that says what the scope allows. It is empty if the service does not know the scope.
    words: &'static str,
}

/// What the page shows to an administrator.
struct Admin {
    /// The name of the owner.
    owner: String,
    /// The address of the form that revokes the token. It is `None` if the token is revoked.
    revoke: Option<String>,
    /// Whether the dialog is open that asks before it revokes the token.
    asks: bool,
    /// The number of tokens that end with the token, in words. It is `None` if there are none.
    bound: Option<String>,
}

/// Returns the page of a token of the signed-in person.
pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    let token = own::read(&app, &signed_in.user, &uuid).await?;
    let here = format!("/settings/tokens/{}", token.name.uuid);
    draw(&app, &signed_in, &token.view, Looks::Owner, here, asked).await
}

/// Returns the page of any token, for an administrator.
pub async fn show_any(
    app: &App,
    signed_in: &SignedIn,
    view: &TokenView,
    asked: Asked,
) -> Result<Html<String>, PageError> {
    let here = format!("/admin/tokens/{}/{}", view.project, view.id);
    draw(app, signed_in, view, Looks::Administrator, here, asked).await
}

async fn draw(
    app: &App,
    signed_in: &SignedIn,
    view: &TokenView,
    looks: Looks,
    here: String,
    asked: Asked,
) -> Result<Html<String>, PageError> {
    app.audit.written().await;
    let (now, key, me) = (app.tokens.now(), view.key(), &signed_in.user);
    let page = trail::acts(&app.db, view, asked.before).await.map_err(Refused::failed)?;
    let own_issues = trail::own_issues(&app.db, &key).await.map_err(Refused::failed)?;
    let tree = issued::tree(app, &key).await?;
    let predecessor = app.tokens.predecessor(view).await.map_err(Refused::failed)?;

    let mut names = Names::new(app, view, me, looks);
    names.remember(tree::views(&tree.branches));
    names.remember(predecessor.as_ref().map(|one| &one.view));
    let related = [view.issuer.map(|issuer| issuer.id), view.rotated_from, view.rotated_to];
    let named = related.into_iter().flatten().chain(timeline::tokens_in(&page.entries));
    let named = named.chain(timeline::tokens_in(&own_issues)).chain(Names::token_of(view.created_by.as_str()));
    names.load(named.collect::<Vec<_>>()).await?;

    let leak = leak(app, &key).await?;
    let lines = timeline::lines(&mut names, view, &page.entries, leak.as_ref().filter(|_| asked.before.is_none()), now);
    let lines = lines.await?;
    let own_issues = timeline::lines(&mut names, view, &own_issues, None, now).await?;
    let (chart, refused) = by_day(app, &key, now).await.map_err(Refused::failed)?;

    let issuer = view.issuer.and_then(|issuer| names.view(issuer.id)).cloned();
    let owner = TokenOwners::new(app.db.clone()).state(&view.owner, &view.project).await.map_err(Refused::failed)?;
    let around = Around { policy: app.tokens.policy(), owner, issuer: issuer.as_ref(), now };
    let summary = summary(app, view, &around, &mut names, predecessor).await?;
    let issued = Tree::new(tree, &Around { issuer: Some(view), ..around }, &names);
    let uuid = here.rsplit('/').next().expect("a split text has a last piece");
    let links = match looks {
        Looks::Owner if summary.is_member => Links::new(app, view, issuer.as_ref(), uuid),
        Looks::Owner => Links::of_left_project(view, uuid),
        Looks::Administrator => Links::default(),
    };
    let admin = match looks {
        Looks::Owner => None,
        Looks::Administrator => Some(admin(app, view, &here, asked.revoke.is_some()).await?),
    };
    let project = summary.project.as_ref().map(|project| project.id).filter(|_| summary.is_member);
    let (at, back) = match looks {
        Looks::Owner if summary.is_member => (Here::Tokens, View::of_project(&view.project).link()),
        Looks::Owner => (Here::Tokens, View::default().link()),
        Looks::Administrator => (Here::Elsewhere, format!("/admin/projects/{}", view.project)),
    };
    let frame = Frame::new(app, signed_in, at, project.filter(|_| looks == Looks::Owner)).await?;
    let own_issued = counted(own_issues.len() as u64, "token");
    let (id, is_first, older) = (PublicId::of(view), asked.before.is_none(), page.older);
    render(&TokenPage {
        frame,
        view,
        id,
        here,
        back,
        said: asked.said.as_deref().and_then(|done| message(done, None)),
        summary,
        links,
        admin,
        chart,
        refused,
        issued,
        lines,
        own_issues,
        own_issued,
        older,
        is_first,
    })
}

/// Returns the report that the token was found in public, if there is one.
async fn leak(app: &App, key: &TokenKey) -> Result<Option<Leak>, Refused> {
    let Some(found) = told::of_token(app, key).await.map_err(Refused::failed)? else { return Ok(None) };
    let again = refusals::reported_again(&app.db, key).await.map_err(Refused::failed)?;
    Ok(Some(Leak { found, again }))
}

/// Returns the chart of the uses, and the refusals in words.
async fn by_day(
    app: &App,
    key: &TokenKey,
    now: Timestamp,
) -> Result<(Option<Chart>, Vec<RefusedDay>), crate::setup::SetupError> {
    let today = counts::day_of(now.as_unix_millis());
    let refused = refusals::by_day(&app.db, key).await?;
    let recent = counts::recent(app, key, today).await?;
    Ok((Chart::new(&recent, &refused, today)?, uses::refused_days(&refused)?))
}

async fn summary(
    app: &App,
    view: &TokenView,
    around: &Around<'_>,
    names: &mut Names<'_>,
    predecessor: Option<Predecessor>,
) -> Result<Summary, Refused> {
    let number: i64 = view.project.as_str().parse().map_err(|error| Refused::failed(Box::new(error)))?;
    let project = app.projects.find(number).await.map_err(Refused::failed)?;
    let owner = view.owner.as_str().parse().map_err(|error| Refused::failed(Box::new(error)))?;
    let is_member = app.projects.find_of_user(owner, number).await.map_err(Refused::failed)?.is_some();
    let scopes = view.scopes.to_string();
    Ok(Summary {
        standing: Standing::of(view, around),
        project,
        is_member,
        scopes: scopes.split_whitespace().map(|one| Scope { scope: one.into(), words: scopes::words(one) }).collect(),
        addresses: view.addresses.to_string(),
        created: Time::ago(view.created_at, around.now),
        created_how: match (view.rotated_from, Via::of(view)) {
            // The successor has the metadata of the token that it replaces.
            (Some(_), _) => ", as a replacement",
            (None, Some(Via::Page)) => ", on the page",
            (None, Some(Via::Api)) => ", with the API",
            (None, None) => "",
        },
        created_by: names.actor(view.created_by.as_str()).await?,
        end: End::of(view, around.now),
        last_used: view.last_used_at.map(|time| Time::ago(time, around.now)),
        used_from: standing::used_from(view),
        issuer: view.issuer.map(|issuer| names.token(issuer.id)),
        is_bound: issued::is_bound(view),
        predecessor: view.rotated_from.map(|id| names.token(id)),
        still_used: predecessor.is_some_and(|one| one.still_used && one.view.status.is_live()),
        successor: view.rotated_to.map(|id| names.token(id)),
    })
}

async fn admin(app: &App, view: &TokenView, here: &str, asks: bool) -> Result<Admin, Refused> {
    let owner = view.owner.as_str().parse().map_err(|error| Refused::failed(Box::new(error)))?;
    let owner = app.accounts.find(owner).await.map_err(Refused::failed)?;
    let revoke = view.revoked.is_none().then(|| format!("{here}/revoke"));
    let asks = asks && revoke.is_some();
    let bound = if asks { issued::bound(app, view).await? } else { 0 };
    let bound = plural::some(bound, "token");
    Ok(Admin { owner: owner.map_or_else(|| "a removed person".into(), |person| person.name), revoke, asks, bound })
}
