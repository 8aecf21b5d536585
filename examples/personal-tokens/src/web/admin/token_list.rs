//! The table of tokens on the administrator's pages: the tokens of a person in all projects, the
//! tokens of a project, or all tokens. Ended tokens are included.

use std::collections::HashMap;

use keyfob::{
    Actor, OwnerId, ProjectId, TokenId, TokenKey, TokenView,
    owners::OwnerState,
    store::{Cursor, ListOrder, ListQuery, PageSize, ProjectsQuery, SortKey, StatusFilter, StoreMaintenance},
};
use serde::Deserialize;

use crate::app::App;
use crate::people::{directory, owners};
use crate::tokens::own::{Refused, write_uses};
use crate::tokens::{counts, issued};
use crate::web::admin::confirm::Confirm;
use crate::web::admin::show::Show;
use crate::web::error::PageError;
use crate::web::plural;
use crate::web::standing::{Around, End, PublicId, Standing, used_from};
use crate::web::time_words::Time;

/// The number of rows on a page.
const SIZE: usize = 50;

/// The table of tokens.
pub struct TokenList {
    pub rows: Vec<Row>,
    /// The shown rows in words, such as "1–50 of 190".
    pub shown: String,
    pub is_first_page: bool,
    /// The address of the next page, if there are more tokens.
    pub later: Option<String>,
    /// The path of the page, which shows the first rows.
    pub path: String,
    pub show: Show,
    /// Whether the table has the tokens of all people in all projects.
    pub is_everywhere: bool,
}

/// A token in the table.
pub struct Row {
    /// The path of the token's own page.
    pub page: String,
    pub id: PublicId,
    pub name: String,
    pub owner: Named,
    pub project: Named,
    pub standing: Standing,
    pub end: End,
    pub created: Time,
    pub last_used: Option<Time>,
    pub used_from: Option<String>,
    /// The person or the program that revoked the token, and the time of the revocation.
    pub revoked: Option<(String, Time)>,
    /// The address of the dialog that revokes the token. It is `None` if the token is revoked.
    pub revoke: Option<String>,
}

/// A person or a project with the path of its page.
#[derive(Clone)]
pub struct Named {
    pub name: String,
    pub path: String,
}

/// The query of the page's URL. Invalid values count as the default.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    show: String,
    /// The position after which the page starts: a project and a cursor in it.
    after: String,
    /// The number of tokens before the page.
    from: String,
    /// The token whose revocation the administrator must confirm, as `PROJECT.ID`.
    pub revoke: Option<String>,
    pub said: Option<String>,
}

impl TokenList {
    /// Reads a page of the tokens in these projects. If `owner` is given, reads only the tokens of
    /// this owner. `path` is the path of the page.
    pub async fn read(
        app: &App,
        projects: &[ProjectId],
        owner: Option<OwnerId>,
        asked: &Asked,
        path: String,
    ) -> Result<Self, Refused> {
        write_uses(app).await;
        let (show, now) = (Show::parse(&asked.show), app.tokens.now());
        if !show.is_counted() {
            let given = Projects::Given(projects.iter());
            return Self::found(app, given, owner, asked, path).await;
        }
        let mut total = 0;
        for project in projects {
            total += match &owner {
                Some(owner) => counts::of_group(app, *project, Some(owner.clone()), show.group()).await?,
                None => counts::recent(app, *project, show.group()).await?,
            };
        }
        let (mut place, mut from) = (0, 0);
        let mut query = ListQuery::new(projects.first().copied().unwrap_or(ProjectId::new("1").expect("a project id")));
        if let Some((index, cursor)) = position(&asked.after, projects, &query) {
            (place, from) = (index, asked.from.parse().unwrap_or(0).min(total));
            query.after = Some(cursor);
        }
        query.owner = owner;
        query.status = show.group().map(|group| StatusFilter { group, at: now });
        let mut views = Vec::new();
        let mut next = None;
        while let Some(project) = projects.get(place) {
            query.project = *project;
            query.most = PageSize::clamped(SIZE - views.len());
            let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
            // The list is in the order of creation, the newest token first.
            let last = page.items.last().map(|view| Cursor { key: SortKey::Created(view.created_at), id: view.id });
            views.extend(page.items);
            if views.len() == SIZE {
                // The tokens of further projects are known only by the total.
                let is_last = page.next.is_none() && (projects.len() == 1 || from + SIZE as u64 >= total);
                next = last.filter(|_| !is_last).map(|cursor| format!("{project}.{cursor}"));
                break;
            }
            (place, query.after) = (place + 1, None);
        }
        let to = from + views.len() as u64;
        let later = next.map(|next| link(&path, show, &next, to));
        let first = if views.is_empty() { 0 } else { from + 1 };
        // The total may be older than the rows.
        let shown = plural::rows(first, to, total.max(to));
        let rows = rows(app, views, &path).await?;
        Ok(Self { rows, shown, is_first_page: from == 0, later, path, show, is_everywhere: false })
    }

    /// Reads a page of all tokens, one project after the other.
    pub async fn read_everywhere(app: &App, asked: &Asked, path: String) -> Result<Self, Refused> {
        write_uses(app).await;
        let list = Self::found(app, Projects::All(ProjectsQuery::default()), None, asked, path).await?;
        Ok(Self { is_everywhere: true, ..list })
    }

    /// Reads a page of tokens without counting all of them.
    async fn found(
        app: &App,
        mut projects: Projects<'_>,
        owner: Option<OwnerId>,
        asked: &Asked,
        path: String,
    ) -> Result<Self, Refused> {
        let (show, now) = (Show::parse(&asked.show), app.tokens.now());
        let start = asked
            .after
            .split_once('.')
            .and_then(|(project, cursor)| Some((ProjectId::new(project).ok()?, cursor.parse::<Cursor>().ok()?)));
        let start = start.filter(|(_, cursor)| cursor.key.order() == ListOrder::Created);
        // The address of the page contains the number, so it may be any number.
        let from = start.as_ref().map_or(0, |_| asked.from.parse::<u32>().map_or(0, u64::from));
        let (mut project, mut cursor) = match start {
            Some((of, place)) => (projects.seek(of), Some(place)),
            None => (projects.next(app).await?, None),
        };
        let (mut views, mut more) = (Vec::new(), false);
        'projects: while let Some(current) = project {
            let mut query = show.query(current, owner.clone(), now);
            query.after = cursor.take();
            loop {
                let page = app.tokens.list(&query).await.map_err(Refused::failed)?;
                for view in page.items.into_iter().filter(|view| show.passes(view)) {
                    if views.len() == SIZE {
                        more = true;
                        break 'projects;
                    }
                    views.push(view);
                }
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            project = projects.next(app).await?;
        }
        let to = from + views.len() as u64;
        let later = views.last().filter(|_| more).map(|view: &TokenView| {
            let cursor = Cursor { key: SortKey::Created(view.created_at), id: view.id };
            link(&path, show, &format!("{}.{cursor}", view.project), to)
        });
        let shown = match (views.len(), more) {
            (0, _) => "0 tokens".into(),
            (_, false) => plural::rows(from + 1, to, to),
            (_, true) => format!("{}–{to} of more", from + 1),
        };
        let rows = rows(app, views, &path).await?;
        Ok(Self { rows, shown, is_first_page: from == 0, later, path, show, is_everywhere: false })
    }

    pub fn is_shown(&self, show: &Show) -> bool {
        self.show == *show
    }
}

/// The projects whose tokens a table shows, in their order.
enum Projects<'p> {
    Given(std::slice::Iter<'p, ProjectId>),
    /// All projects of the store. The query returns the projects that come next.
    All(ProjectsQuery),
}

impl Projects<'_> {
    async fn next(&mut self, app: &App) -> Result<Option<ProjectId>, Refused> {
        match self {
            Self::Given(projects) => Ok(projects.next().copied()),
            Self::All(query) => {
                query.most = PageSize::clamped(1);
                let found = app.tokens.store().projects(query).await.map_err(Refused::failed)?;
                query.after = found.first().copied().or(query.after);
                Ok(found.first().copied())
            }
        }
    }

    /// Passes over the projects before this one. Returns this project, or `None` if it is not among
    /// the projects.
    fn seek(&mut self, project: ProjectId) -> Option<ProjectId> {
        match self {
            Self::Given(projects) => projects.find(|one| **one == project).copied(),
            Self::All(query) => {
                query.after = Some(project);
                Some(project)
            }
        }
    }
}

/// Returns the address of the page that starts after a position.
fn link(path: &str, show: Show, after: &str, from: u64) -> String {
    let from = from.to_string();
    let fields = [("show", show.as_str()), ("after", after), ("from", &from)];
    let fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    format!("{path}?{}", serde_urlencoded::to_string(fields).unwrap_or_default())
}

/// Returns the project and the cursor of a position in the list.
fn position(after: &str, projects: &[ProjectId], query: &ListQuery) -> Option<(usize, Cursor)> {
    let (project, cursor) = after.split_once('.')?;
    let index = projects.iter().position(|one| one.as_str() == project)?;
    let cursor: Cursor = cursor.parse().ok()?;
    (cursor.key.order() == query.order).then_some((index, cursor))
}

/// Returns the rows of the table. The names of the people and the projects, and the states of the
/// owners in each project, are read with one query each.
async fn rows(app: &App, views: Vec<TokenView>, path: &str) -> Result<Vec<Row>, Refused> {
    let number = |text: &str| text.parse::<i64>().ok();
    let mut people: Vec<i64> = views.iter().filter_map(|view| number(view.owner.as_str())).collect();
    people.extend(views.iter().filter_map(|view| number(view.revoked.as_ref()?.by.as_str())));
    let people = directory::names_of_people(&app.db, &unique(people)).await.map_err(Refused::failed)?;
    let projects = unique(views.iter().filter_map(|view| number(view.project.as_str())).collect());
    let mut states = HashMap::new();
    for project in &projects {
        let inside = views.iter().filter(|view| number(view.project.as_str()) == Some(*project));
        let owners = unique(inside.filter_map(|view| number(view.owner.as_str())).collect());
        let of_project = owners::states(&app.db, *project, &owners).await.map_err(Refused::failed)?;
        states.extend(of_project.into_iter().map(|(owner, state)| ((*project, owner), state)));
    }
    let projects = directory::names_of_projects(&app.db, &projects).await.map_err(Refused::failed)?;
    let (policy, now) = (app.tokens.policy(), app.tokens.now());
    let mut rows = Vec::with_capacity(views.len());
    for view in views {
        let issuer = issued::issuer_of(app, &view).await?;
        let (owner_id, project_id) = (number(view.owner.as_str()), number(view.project.as_str()));
        let state = owner_id.zip(project_id).and_then(|(owner, project)| states.get(&(project, owner)));
        let owner = state.copied().unwrap_or(OwnerState::Suspended);
        let around = Around { policy, owner, issuer: issuer.as_ref(), now };
        rows.push(Row {
            page: format!("/admin/tokens/{}/{}", view.project, view.id),
            id: PublicId::of(&view),
            owner: named(owner_id, &people, "/admin/people", "Unknown person"),
            project: named(project_id, &projects, "/admin/projects", "Unknown project"),
            standing: Standing::of(&view, &around),
            end: End::of(&view, now),
            created: Time::ago(view.created_at, now),
            last_used: view.last_used_at.map(|time| Time::ago(time, now)),
            used_from: used_from(&view),
            revoked: view.revoked.as_ref().map(|one| (actor(&one.by, &people), Time::ago(one.at, now))),
            revoke: view.revoked.is_none().then(|| format!("{path}?revoke={}.{}", view.project, view.id)),
            name: view.name.as_str().into(),
        });
    }
    Ok(rows)
}

fn unique(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn named(id: Option<i64>, names: &HashMap<i64, String>, path: &str, unknown: &str) -> Named {
    let known = id.and_then(|id| Some((id, names.get(&id)?)));
    match known {
        Some((id, name)) => Named { name: name.clone(), path: format!("{path}/{id}") },
        None => Named { name: unknown.into(), path: path.into() },
    }
}

/// Returns the name of an actor. An actor that is not a person, such as "a leak report", is
/// returned unchanged.
fn actor(actor: &Actor, people: &HashMap<i64, String>) -> String {
    match actor.as_str().parse::<i64>() {
        Ok(id) => people.get(&id).cloned().unwrap_or_else(|| "an unknown person".into()),
        Err(_) => actor.as_str().into(),
    }
}

/// Returns the dialog that asks before a token is revoked. `name` is `PROJECT.ID`, and `back` the
/// path of the page with the table.
///
/// # Errors
/// Returns [`PageError::NotFound`] if there is no such token, or if it is revoked.
pub async fn confirm(app: &App, name: &str, back: &str) -> Result<Confirm, PageError> {
    let key = name.split_once('.').and_then(|(project, id)| {
        Some(TokenKey { project: ProjectId::new(project).ok()?, id: TokenId::new(id).ok()? })
    });
    let view = match key {
        Some(key) => app.tokens.get(&key).await.map_err(Refused::failed)?,
        None => None,
    };
    let view = view.filter(|view| view.revoked.is_none()).ok_or(PageError::NotFound)?;
    let bound = issued::bound(app, &view).await?;
    let owner = view.owner.as_str().parse().unwrap_or(0);
    let owner = directory::names_of_people(&app.db, &[owner]).await.map_err(Refused::failed)?.remove(&owner);
    let owner = owner.map_or_else(String::new, |owner| format!(" of {owner}"));
    let created = Time::ago(view.created_at, app.tokens.now()).full;
    let mut says = vec![
        format!("“{}”{owner}, {}, created on {created}.", view.name, PublicId::of(&view).short()),
        "Everything that uses it stops working immediately. This cannot be undone.".into(),
    ];
    match bound {
        0 => {}
        1 => says.push("It issued 1 agent token, which ends with it.".into()),
        bound => says.push(format!("It issued {bound} agent tokens, which end with it.")),
    }
    Ok(Confirm {
        title: format!("Revoke “{}”?", view.name),
        says,
        action: format!("/admin/tokens/{}/{}/revoke", view.project, view.id),
        button: "Revoke".into(),
        back: back.into(),
        view: back.into(),
        ..Confirm::default()
    })
}

/// Returns the message that the parameter `said` selects.
pub fn said(word: &str) -> Option<String> {
    (word == "revoked").then(|| "The token is revoked and has stopped working.".into())
}
