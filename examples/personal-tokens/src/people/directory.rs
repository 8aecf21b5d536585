//! Lists people, projects and members page by page, for administrators.
//!
//! A page has at most [`SIZE`] rows, and its cost depends on the number of these rows. Two costs
//! depend on the number of all people or projects: the total, and a search.

use std::collections::HashMap;

use crate::db::{Db, Truth, query};
use crate::people::denied::can_be_in_a_name;
use crate::people::projects::Project;

/// The number of rows on a page.
pub const SIZE: i64 = 20;

/// A page of a list.
pub struct Page<T> {
    pub rows: Vec<T>,
    /// The number of rows on all pages.
    pub total: i64,
    /// The number of the page, from 1.
    pub number: i64,
}

/// A person in the list.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: i64,
    pub name: String,
    pub suspended: bool,
    pub admin: bool,
    pub removed: bool,
    /// The end of the person's invitation, in milliseconds since 1970. It is `None` if the person
    /// has chosen a password.
    pub invited_until: Option<i64>,
}

type PersonRow = (i64, String, Truth, Truth, Truth, Option<i64>);

impl From<PersonRow> for Person {
    fn from((id, name, Truth(suspended), Truth(admin), Truth(removed), invited_until): PersonRow) -> Self {
        Self { id, name, suspended, admin, removed, invited_until }
    }
}

/// The people that a list contains.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Filter {
    /// All people who are not removed.
    #[default]
    Current,
    Administrators,
    Invited,
    Suspended,
    Removed,
}

impl Filter {
    pub const ALL: [Self; 5] = [Self::Current, Self::Administrators, Self::Invited, Self::Suspended, Self::Removed];

    /// Returns the filter that a URL names. An unknown word counts as the default.
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|filter| filter.as_str() == word).unwrap_or_default()
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "",
            Self::Administrators => "administrators",
            Self::Invited => "invited",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }
}

/// Expands to a [`Page`]. `$list` is the future of the rows that follow the first `$from` rows, and
/// `$count` the future of the total. The last page implies the total, so it runs no other query. A
/// page that does not exist becomes the last page.
macro_rules! page {
    ($number:expr, |$from:ident| $list:expr, $count:expr) => {{
        let mut $from = ($number.clamp(1, i64::MAX / SIZE) - 1) * SIZE;
        let mut rows: Vec<_> = $list.await?;
        let total: i64 = match i64::try_from(rows.len()).unwrap_or(SIZE) {
            0 if $from == 0 => 0,
            some @ 1..SIZE => $from + some,
            _ => $count.await?,
        };
        if rows.is_empty() && total > 0 {
            $from = (pages(total) - 1) * SIZE;
            rows = $list.await?;
        }
        let rows = rows.into_iter().map(Into::into).collect();
        Ok(Page { rows, total, number: $from / SIZE + 1 })
    }};
}

/// Expands to the columns of a [`PersonRow`] and their tables.
macro_rules! people {
    () => {
        concat!(
            "users.id, coalesce(removed.name || ' (removed)', users.name), suspended, \
             users.id IN (SELECT user_id FROM admins), removed.user_id IS NOT NULL, invitations.expires_at FROM ",
            people!(@tables)
        )
    };
    (@tables) => {
        "users LEFT JOIN removed_people AS removed ON removed.user_id = users.id \
         LEFT JOIN invitations ON invitations.user_id = users.id "
    };
}

/// Expands to the condition of the search `?1` (empty for none) and the filter `?2`.
macro_rules! those {
    () => {
        "WHERE (?1 = '' OR {lower}(coalesce(removed.name, users.name)) LIKE {lower}(?1) ESCAPE '!') AND CASE ?2 \
         WHEN 'administrators' THEN users.id IN (SELECT user_id FROM admins) \
         WHEN 'invited' THEN invitations.user_id IS NOT NULL \
         WHEN 'suspended' THEN suspended = 1 AND removed.user_id IS NULL \
         WHEN 'removed' THEN removed.user_id IS NOT NULL ELSE removed.user_id IS NULL END "
    };
}

/// Expands to the condition of the search `?1` (empty for none) in the names of people who are not
/// removed. The names of removed people are elsewhere, so this condition costs less.
macro_rules! current {
    () => {
        "WHERE (?1 = '' OR {lower}(users.name) LIKE {lower}(?1) ESCAPE '!') \
         AND NOT EXISTS (SELECT 1 FROM removed_people WHERE user_id = users.id) AND ?2 = '' "
    };
}

/// Returns a page of the people whose names contain `text`, sorted by name.
pub async fn people(db: &Db, text: &str, filter: Filter, number: i64) -> sqlx::Result<Page<Person>> {
    if !can_be_in_a_name(text) {
        return Ok(Page::empty());
    }
    let (like, filter) = (like(text), filter.as_str());
    let (count, list) = match (like.is_empty(), filter.is_empty()) {
        // SQLite counts a whole table without reading its rows.
        (true, true) => (
            "SELECT (SELECT count(*) FROM users) - (SELECT count(*) FROM removed_people) WHERE ?1 = '' AND ?2 = ''",
            concat!("SELECT ", people!(), current!(), "ORDER BY users.name, users.id LIMIT ?3 OFFSET ?4"),
        ),
        (false, true) => (
            concat!("SELECT count(*) FROM users ", current!()),
            concat!("SELECT ", people!(), current!(), "ORDER BY users.name, users.id LIMIT ?3 OFFSET ?4"),
        ),
        (_, false) => (
            concat!("SELECT count(*) FROM ", people!(@tables), those!()),
            concat!("SELECT ", people!(), those!(), "ORDER BY users.name, users.id LIMIT ?3 OFFSET ?4"),
        ),
    };
    page!(
        number,
        |from| query(list).bind(&like).bind(filter).bind(SIZE).bind(from).fetch_all::<PersonRow>(db),
        query(count).bind(&like).bind(filter).value(db)
    )
}

/// Returns the person with this id, removed or not.
pub async fn person(db: &Db, id: i64) -> sqlx::Result<Option<Person>> {
    let sql = concat!("SELECT ", people!(), "WHERE users.id = ?1");
    let row: Option<PersonRow> = query(sql).bind(id).fetch_optional(db).await?;
    Ok(row.map(Person::from))
}

/// Returns a page of the members of a project whose names contain `text`, sorted by name.
pub async fn members(db: &Db, project: i64, text: &str, number: i64) -> sqlx::Result<Page<Person>> {
    if !can_be_in_a_name(text) {
        return Ok(Page::empty());
    }
    let like = like(text);
    let count = "SELECT count(*) FROM memberships JOIN users ON id = user_id \
                 WHERE project_id = ?1 AND (?2 = '' OR {lower}(name) LIKE {lower}(?2) ESCAPE '!')";
    let list = concat!(
        "SELECT ",
        people!(),
        "JOIN memberships ON memberships.user_id = users.id AND project_id = ?1 \
         WHERE ?2 = '' OR {lower}(users.name) LIKE {lower}(?2) ESCAPE '!' ORDER BY users.name, users.id LIMIT ?3 OFFSET ?4"
    );
    page!(
        number,
        |from| query(list).bind(project).bind(&like).bind(SIZE).bind(from).fetch_all::<PersonRow>(db),
        query(count).bind(project).bind(&like).value(db)
    )
}

/// Returns whether a person is a member of a project.
pub async fn is_member(db: &Db, project: i64, user: i64) -> sqlx::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM memberships WHERE project_id = ? AND user_id = ?)";
    query(sql).bind(project).bind(user).is_true(db).await
}

/// A project in the list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub project: Project,
    pub members: i64,
    pub removed: bool,
}

/// Expands to the columns of [`Listed`]. `$rest` is the end of the query. The name of a removed
/// project ends with "(removed)".
macro_rules! projects {
    ($rest:literal) => {
        concat!(
            "SELECT id, CASE WHEN removed.at IS NULL THEN name ELSE name || ' (removed)' END, kind, \
             (SELECT count(*) FROM memberships WHERE memberships.project_id = id), removed.at IS NOT NULL \
             FROM projects LEFT JOIN removed_projects AS removed ON removed.project_id = id ",
            $rest
        )
    };
}

type Row = (i64, String, String, i64, Truth);

impl From<Row> for Listed {
    fn from((id, name, kind, members, Truth(removed)): Row) -> Self {
        Self { project: Project::from((id, name, kind)), members, removed }
    }
}

/// Returns a page of the projects whose names contain `text`, sorted by name. Without a search, the
/// personal projects are left out. Removed projects are always left out.
pub async fn projects(db: &Db, text: &str, number: i64) -> sqlx::Result<Page<Listed>> {
    if !can_be_in_a_name(text) {
        return Ok(Page::empty());
    }
    let like = like(text);
    let (count, list) = if like.is_empty() {
        (
            "SELECT count(*) FROM projects WHERE kind <> 'personal' AND ?1 = '' \
             AND NOT EXISTS (SELECT 1 FROM removed_projects WHERE project_id = id)",
            projects!(
                "WHERE kind <> 'personal' AND ?1 = '' AND removed.at IS NULL ORDER BY name, id LIMIT ?2 OFFSET ?3"
            ),
        )
    } else {
        (
            "SELECT count(*) FROM projects WHERE {lower}(name) LIKE {lower}(?1) ESCAPE '!' \
             AND NOT EXISTS (SELECT 1 FROM removed_projects WHERE project_id = id)",
            projects!(
                "WHERE {lower}(name) LIKE {lower}(?1) ESCAPE '!' AND removed.at IS NULL ORDER BY name, id LIMIT ?2 OFFSET ?3"
            ),
        )
    };
    page!(
        number,
        |from| query(list).bind(&like).bind(SIZE).bind(from).fetch_all::<Row>(db),
        query(count).bind(&like).value(db)
    )
}

/// Returns the project with this id, removed or not.
pub async fn project(db: &Db, id: i64) -> sqlx::Result<Option<Listed>> {
    let row: Option<Row> = query(projects!("WHERE id = ?1")).bind(id).fetch_optional(db).await?;
    Ok(row.map(Listed::from))
}

/// Returns the names of the people with these ids, removed or not.
pub async fn names_of_people(db: &Db, ids: &[i64]) -> sqlx::Result<HashMap<i64, String>> {
    let sql = "SELECT users.id, coalesce(removed.name || ' (removed)', users.name) FROM users \
               LEFT JOIN removed_people AS removed ON removed.user_id = users.id \
               WHERE users.id IN (?*)";
    let rows: Vec<(i64, String)> = query(sql).bind(ids).fetch_all(db).await?;
    Ok(rows.into_iter().collect())
}

/// Returns the names of the projects with these ids, removed or not.
pub async fn names_of_projects(db: &Db, ids: &[i64]) -> sqlx::Result<HashMap<i64, String>> {
    let rows: Vec<Row> = query(projects!("WHERE id IN (?1*)")).bind(ids).fetch_all(db).await?;
    Ok(rows.into_iter().map(|row| (row.0, row.1)).collect())
}

/// Returns the pattern that matches the texts that contain `text`, or an empty pattern if the text
/// is empty.
fn like(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let escaped = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{escaped}%")
}

/// Returns the number of pages of a list with this number of rows.
pub fn pages(total: i64) -> i64 {
    (total + SIZE - 1).div_euclid(SIZE).max(1)
}

impl<T> Page<T> {
    fn empty() -> Self {
        Self { rows: Vec::new(), total: 0, number: 1 }
    }

    /// Returns the number of the first row of the page, from 1. It is 0 if the list is empty.
    pub fn first(&self) -> i64 {
        if self.rows.is_empty() { 0 } else { (self.number - 1) * SIZE + 1 }
    }

    /// Returns the number of the last row of the page.
    pub fn last(&self) -> i64 {
        (self.number - 1) * SIZE + i64::try_from(self.rows.len()).unwrap_or(SIZE)
    }

    /// Returns the number of the page before this one.
    pub fn earlier(&self) -> Option<i64> {
        (self.number > 1).then(|| self.number - 1)
    }

    /// Returns the number of the page after this one.
    pub fn later(&self) -> Option<i64> {
        (self.number < pages(self.total)).then(|| self.number + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: i64, rows: usize, total: i64) -> (i64, i64, Option<i64>, Option<i64>) {
        let page = Page { rows: vec![(); rows], total, number };
        (page.first(), page.last(), page.earlier(), page.later())
    }

    #[test]
    fn pages_at_each_bound() {
        for (total, count) in [(0, 1), (1, 1), (20, 1), (21, 2), (40, 2), (41, 3)] {
            assert_eq!(pages(total), count, "{total}");
        }
        assert_eq!(page(1, 0, 0), (0, 0, None, None));
        assert_eq!(page(1, 20, 20), (1, 20, None, None));
        assert_eq!(page(1, 20, 21), (1, 20, None, Some(2)));
        assert_eq!(page(2, 1, 21), (21, 21, Some(1), None));
    }

    #[test]
    fn search_takes_each_character_literally() {
        for (text, pattern) in [("", ""), ("  ", ""), (" a b ", "%a b%"), ("100%_!", "%100!%!_!!%")] {
            assert_eq!(like(text), pattern, "{text:?}");
        }
    }
}
