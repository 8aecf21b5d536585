//! Lists a person's tokens in a project, page by page or as a whole.

use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    ProjectId, Status, Timestamp, TokenId, TokenRecord, TokenStore, TokenView,
    store::{CountQuery, Cursor, FoldedName, ListOrder, ListQuery, PageSize, StatusFilter, StatusGroup},
};

use crate::app::App;
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::tokens::own::{OwnToken, Refused, write_uses};

/// The parameters of one page of the list.
pub struct Listing {
    pub search: Search,
    /// The statuses of the tokens. `None` means all statuses.
    pub status: Option<StatusGroup>,
    pub only: Only,
    pub order: ListOrder,
    pub descending: bool,
    pub size: usize,
    pub place: Place,
}

/// The tokens that a person searches for.
pub enum Search {
    None,
    /// The tokens whose name contains this text.
    Name(FoldedName),
    /// The token with this project and id.
    Token(ProjectId, TokenId),
    /// The token with this id in the project of the list. If no token has the id, the tokens whose
    /// name contains this text, because a name may look like an id.
    IdOrName(TokenId, FoldedName),
}

/// A filter of the list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Only {
    All,
    ExpiresWithin(Duration),
    NeverExpires,
    NeverUsed,
    UnusedFor(Duration),
}

impl Only {
    /// Returns whether the store has no filter for this choice, so that it is applied here.
    fn is_applied_here(self) -> bool {
        matches!(self, Self::NeverExpires | Self::NeverUsed)
    }

    /// Returns whether a token with these times passes a filter that is applied here.
    fn passes(self, expires_at: Option<Timestamp>, last_used_at: Option<Timestamp>) -> bool {
        match self {
            Self::NeverExpires => expires_at.is_none(),
            Self::NeverUsed => last_used_at.is_none(),
            Self::All | Self::ExpiresWithin(_) | Self::UnusedFor(_) => true,
        }
    }
}

/// The position of a page in the list.
pub enum Place {
    Start,
    After(Cursor),
    Before(Cursor),
}

pub struct Page {
    pub tokens: Vec<OwnToken>,
    /// Whether there are tokens before the page.
    pub earlier: bool,
    /// Whether there are tokens after the page.
    pub later: bool,
    /// The number of tokens in the list.
    pub total: Total,
    /// The project of the token that the person searched for by its public part. It is `None`
    /// unless the token is in another project of the person.
    pub elsewhere: Option<Project>,
}

/// The number of tokens in a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Total {
    Exactly(u64),
    MoreThan(u64),
}

/// The maximum number of tokens that are counted one by one, for a list with a search or a filter.
const MOST_COUNTED: usize = 200;

/// The maximum number of tokens that the API lists of one project or of one issuer. A list without
/// a bound could fill the memory, because rotations can leave many ended tokens, each with up to
/// 16 KiB of scopes.
pub const MOST_LISTED: usize = 1000;

/// Returns a page of the person's tokens.
pub async fn page(app: &App, user: &User, project: &Project, listing: Listing) -> Result<Page, Refused> {
    write_uses(app).await;
    let name_contains = match listing.search {
        Search::Token(of, id) => return found(app, user, project, of, id).await,
        Search::IdOrName(id, part) => {
            let page = found(app, user, project, project.project_id(), id).await?;
            if !page.tokens.is_empty() {
                return Ok(page);
            }
            Some(part)
        }
        Search::Name(part) => Some(part),
        Search::None => None,
    };
    let now = app.tokens.now();
    let mut query = query(app, user, project);
    query.name_contains = name_contains;
    query.status = listing.status.map(|group| StatusFilter { group, at: now });
    match listing.only {
        Only::ExpiresWithin(time) => query.expires_before = Some(now.saturating_add(time)),
        Only::UnusedFor(time) => query.last_used_before = Some(now.saturating_sub(time)),
        Only::NeverExpires | Only::NeverUsed | Only::All => {}
    }
    let total = total(app, &query, listing.only).await?;
    query.order = listing.order;
    query.descending = listing.descending;
    query.most = PageSize::clamped(listing.size);
    let backwards = matches!(listing.place, Place::Before(_));
    let inside = !matches!(listing.place, Place::Start);
    query.after = match listing.place {
        Place::Start => None,
        Place::After(cursor) => Some(cursor),
        Place::Before(cursor) => {
            // The page before a row is the page after the row in the opposite order.
            query.descending = !query.descending;
            Some(cursor)
        }
    };
    let (items, more) = filtered(app, query, listing.only, listing.size).await?;
    let mut tokens = named(app, user, project, items).await?;
    if backwards {
        tokens.reverse();
    }
    let (earlier, later) = if backwards { (more, true) } else { (inside, more) };
    Ok(Page { tokens, earlier, later, total, elsewhere: None })
}

/// Returns the page with the one token of the person that has this id, or an empty page.
async fn found(app: &App, user: &User, project: &Project, of: ProjectId, id: TokenId) -> Result<Page, Refused> {
    let empty = Page { tokens: Vec::new(), earlier: false, later: false, total: Total::Exactly(0), elsewhere: None };
    let view = app.tokens.of(&user.owner_id(), &of).get(&id).await.map_err(Refused::failed)?;
    match view {
        None => Ok(empty),
        Some(view) if view.project == project.project_id() => {
            let tokens = named(app, user, project, vec![view]).await?;
            Ok(Page { tokens, total: Total::Exactly(1), ..empty })
        }
        Some(view) => {
            let number = view.project.as_str().parse().map_err(|error| Refused::failed(Box::new(error)))?;
            let elsewhere = app.projects.find_of_user(user.id, number).await.map_err(Refused::failed)?;
            Ok(Page { elsewhere, ..empty })
        }
    }
}

/// Returns one page of a list, and whether there are tokens after it. A filter that the store does
/// not have is applied here, to one page of the store after the other.
async fn filtered(app: &App, mut query: ListQuery, only: Only, size: usize) -> Result<(Vec<TokenView>, bool), Refused> {
    if !only.is_applied_here() {
        let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
        return Ok((page.items, page.next.is_some()));
    }
    query.most = PageSize::MAX;
    let mut items = Vec::new();
    loop {
        let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
        items.extend(page.items.into_iter().filter(|view| only.passes(view.expires_at, view.last_used_at)));
        query.after = page.next;
        if items.len() > size || query.after.is_none() {
            let more = items.len() > size;
            items.truncate(size);
            return Ok((items, more));
        }
    }
}

/// Returns the number of tokens that pass the filters of a query.
async fn total(app: &App, query: &ListQuery, only: Only) -> Result<Total, Refused> {
    let store = app.tokens.store();
    let is_plain = query.name_contains.is_none() && only == Only::All;
    if is_plain {
        let count = CountQuery { owner: query.owner.clone(), status: query.status, ..CountQuery::new(query.project) };
        return store.count(&count).await.map(Total::Exactly).map_err(Refused::failed);
    }
    let mut query = ListQuery { most: PageSize::clamped(MOST_COUNTED), ..query.clone() };
    let mut total = 0;
    loop {
        let page = store.list(&query).await.map_err(Refused::failed)?;
        let passes = |record: &&Arc<TokenRecord>| only.passes(record.expires_at, record.last_used_at);
        total += page.items.iter().filter(passes).count() as u64;
        query.after = page.next;
        match query.after {
            None => return Ok(Total::Exactly(total)),
            Some(_) if total >= MOST_COUNTED as u64 => return Ok(Total::MoreThan(total)),
            Some(_) => {}
        }
    }
}

/// Returns the person's tokens in a project except revoked ones: the newest [`MOST_LISTED`] tokens,
/// the newest first.
pub async fn newest(app: &App, user: &User, project: &Project) -> Result<Vec<OwnToken>, Refused> {
    write_uses(app).await;
    let mut query = query(app, user, project);
    query.most = PageSize::clamped(MOST_LISTED);
    let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
    named(app, user, project, page.items).await
}

/// Returns the query for a person's tokens in a project, without revoked tokens.
fn query(app: &App, user: &User, project: &Project) -> ListQuery {
    let mut query = ListQuery::new(project.project_id());
    query.owner = Some(user.owner_id());
    query.status = Some(StatusFilter { group: StatusGroup::Except(Status::Revoked), at: app.tokens.now() });
    query
}

async fn named(app: &App, user: &User, project: &Project, views: Vec<TokenView>) -> Result<Vec<OwnToken>, Refused> {
    let ids: Vec<_> = views.iter().map(|view| view.id).collect();
    let names = app.names.of_all(&project.project_id(), &ids, user.id).await.map_err(Refused::failed)?;
    // `names` has every id, because `of_all` creates missing names.
    let named = |view: TokenView| names.get(&view.id).map(|name| OwnToken { name: *name, view });
    Ok(views.into_iter().filter_map(named).collect())
}
