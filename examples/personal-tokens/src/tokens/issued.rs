//! The tokens that a token has issued: the tokens of agents.

use std::collections::HashSet;
use std::pin::Pin;

use keyfob::{
    Status, TokenKey, TokenView,
    store::{ListQuery, PageSize, StatusFilter, StatusGroup},
};

use crate::app::App;
use crate::db::query;
use crate::people::accounts::User;
use crate::tokens::listing::MOST_LISTED;
use crate::tokens::own::{OwnToken, Refused, write_uses};

/// The maximum number of tokens that a tree shows. The newest tokens are shown.
const MOST: usize = 200;
/// The maximum number of tokens of one issuer that a tree shows.
const MOST_OF_ONE: usize = 50;

/// A token in a [`Tree`]. `below` contains the tokens that it has issued directly, the newest
/// first.
#[derive(Debug)]
pub struct Branch {
    pub view: TokenView,
    pub below: Vec<Branch>,
}

/// The tokens that a token has issued, directly and through other tokens.
#[derive(Debug)]
pub struct Tree {
    pub branches: Vec<Branch>,
    /// Whether there are tokens that are not shown.
    pub more: bool,
}

/// Returns the tokens that a token of the person has issued directly: the newest [`MOST_LISTED`]
/// tokens, the newest first.
pub async fn direct(app: &App, user: &User, issuer: &TokenView) -> Result<Vec<OwnToken>, Refused> {
    write_uses(app).await;
    let query = ListQuery { most: PageSize::clamped(MOST_LISTED), ..of(issuer.key()) };
    let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
    let mut tokens = Vec::with_capacity(page.items.len());
    for view in page.items {
        let name = app.names.of(&view.key(), user.id).await.map_err(Refused::failed)?;
        tokens.push(OwnToken { name, view });
    }
    Ok(tokens)
}

/// Returns the tokens that a token has issued, directly and through other tokens. Revoked tokens
/// are included until they are purged.
pub async fn tree(app: &App, issuer: &TokenKey) -> Result<Tree, Refused> {
    write_uses(app).await;
    let mut tree = Tree { branches: Vec::new(), more: false };
    let mut left = MOST;
    tree.branches = grow(app, *issuer, &mut left, &mut tree.more).await?;
    Ok(tree)
}

type Growing<'f> = Pin<Box<dyn Future<Output = Result<Vec<Branch>, Refused>> + Send + 'f>>;

fn grow<'f>(app: &'f App, issuer: TokenKey, left: &'f mut usize, more: &'f mut bool) -> Growing<'f> {
    Box::pin(async move {
        let mut query = of(issuer);
        query.most = PageSize::clamped(MOST_OF_ONE.min(*left));
        if *left == 0 {
            *more = true;
            return Ok(Vec::new());
        }
        let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
        *more |= page.next.is_some();
        *left = left.saturating_sub(page.items.len());
        let mut branches = Vec::with_capacity(page.items.len());
        for view in page.items {
            let below = grow(app, view.key(), left, more).await?;
            branches.push(Branch { view, below });
        }
        Ok(branches)
    })
}

/// Returns the number of tokens that end when this token ends: the live tokens that are bound to
/// it, directly or through other tokens. The tokens that are bound to a disabled token count too,
/// because they work again when the disabled token is enabled.
pub async fn bound(app: &App, issuer: &TokenView) -> Result<u64, Refused> {
    if !issuer.status.is_live() && issuer.status != Status::IssuerEnded {
        return Ok(0);
    }
    // Count each token once: in forged rows, a token may be its own issuer.
    let (mut seen, mut issuers) = (HashSet::from([issuer.key()]), vec![issuer.key()]);
    while let Some(issuer) = issuers.pop() {
        // The filter of live tokens looks only at each row, and not at the issuers of the token.
        for view in live(app, issuer).await?.into_iter().filter(is_bound) {
            if seen.insert(view.key()) {
                issuers.push(view.key());
            }
        }
    }
    Ok(seen.len() as u64 - 1)
}

/// Returns the number of live tokens that a token has issued directly and that do not end with it.
pub async fn independent(app: &App, issuer: TokenKey) -> Result<usize, Refused> {
    Ok(live(app, issuer).await?.iter().filter(|view| !is_bound(view)).count())
}

async fn live(app: &App, issuer: TokenKey) -> Result<Vec<TokenView>, Refused> {
    let status = StatusFilter { group: StatusGroup::Live, at: app.tokens.now() };
    all(app, &ListQuery { status: Some(status), ..of(issuer) }).await
}

/// Returns the issuer of a token, if it still exists.
pub async fn issuer_of(app: &App, view: &TokenView) -> Result<Option<TokenView>, Refused> {
    let Some(issuer) = view.issuer else { return Ok(None) };
    let key = TokenKey { project: view.project, id: issuer.id };
    app.tokens.get(&key).await.map_err(Refused::failed)
}

/// Returns whether a token may issue tokens. Only the record of the token and the policy are
/// checked, and not the issuers of the token.
pub fn may_issue(app: &App, view: &TokenView) -> bool {
    view.status == Status::Active && app.tokens.policy().max_depth() > usize::from(is_bound(view))
}

/// Returns whether a token is bound to its issuer. A bound token ends when its issuer ends.
pub fn is_bound(view: &TokenView) -> bool {
    view.issuer.is_some_and(|issuer| issuer.bound)
}

/// Stores a mark for a token in the host's database if the token is bound to another token. The
/// person's page has a list of leaked tokens and a list of tokens that end soon. Each list uses the
/// marks to show bound tokens after all other tokens.
pub async fn note_bound(app: &App, view: &TokenView) -> sqlx::Result<()> {
    if is_bound(view) {
        query("INSERT INTO bound_tokens (project, token_id) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(view.project.as_str())
            .bind(view.id.as_str())
            .execute(&app.db)
            .await?;
    }
    Ok(())
}

/// Returns the query for the tokens that a token has issued directly.
fn of(issuer: TokenKey) -> ListQuery {
    ListQuery { issuer: Some(issuer.id), most: PageSize::MAX, ..ListQuery::new(issuer.project) }
}

async fn all(app: &App, query: &ListQuery) -> Result<Vec<TokenView>, Refused> {
    let mut query = query.clone();
    let mut views = Vec::new();
    loop {
        let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
        views.extend(page.items);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(views),
        }
    }
}
