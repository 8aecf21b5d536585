//! Lists a person's tokens in a project, page by page or as a whole. Revoked tokens are left out.

use keyfob::{
    Status, TokenView,
    store::{Cursor, FoldedName, ListOrder, ListQuery, PageSize, StatusFilter, StatusGroup},
};

use crate::app::App;
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::tokens::own::{OwnToken, Refused, write_uses};

/// The parameters of one page of the list.
pub struct Listing {
    /// A text that the name of a token must contain. `None` matches all names.
    pub name_contains: Option<FoldedName>,
    pub order: ListOrder,
    pub descending: bool,
    pub size: usize,
    pub place: Place,
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
}

/// Returns a page of the person's tokens.
pub async fn page(app: &App, user: &User, project: &Project, listing: Listing) -> Result<Page, Refused> {
    write_uses(app).await;
    let mut query = query(app, user, project);
    query.name_contains = listing.name_contains;
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
    let found = app.tokens.list(&query).await.map_err(Refused::failed)?;
    let more = found.next.is_some();
    let mut tokens = named(app, user, project, found.items).await?;
    if backwards {
        tokens.reverse();
    }
    let (earlier, later) = if backwards { (more, true) } else { (inside, more) };
    Ok(Page { tokens, earlier, later })
}

/// Returns all of the person's tokens in a project, the newest first.
pub async fn all(app: &App, user: &User, project: &Project) -> Result<Vec<OwnToken>, Refused> {
    write_uses(app).await;
    let mut query = query(app, user, project);
    query.most = PageSize::MAX;
    let mut tokens = Vec::new();
    loop {
        let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
        tokens.extend(named(app, user, project, page.items).await?);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(tokens),
        }
    }
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
