//! Projects and their members.

use crate::db::{Db, On, query};
use keyfob::ProjectId;

#[derive(Clone, Debug)]
pub struct Project {
    pub id: i64,
    pub name: String,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The personal project of one person.
    Personal,
    /// A project that only its members can use.
    Shared,
    /// A project that everybody can use.
    Public,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Shared => "shared",
            Self::Public => "public",
        }
    }
}

type Row = (i64, String, String);

impl From<Row> for Project {
    fn from((id, name, kind): Row) -> Self {
        let kind = match kind.as_str() {
            "personal" => Kind::Personal,
            "public" => Kind::Public,
            _ => Kind::Shared,
        };
        Self { id, name, kind }
    }
}

impl Project {
    /// Returns the id of the project in keyfob.
    pub fn project_id(&self) -> ProjectId {
        ProjectId::new(&self.id.to_string()).expect("a positive number is a valid project id")
    }
}

pub struct Projects {
    db: Db,
}

/// Expands to a query of one person's projects: their personal project, the shared projects of
/// which they are a member, and the public projects. Removed projects are left out. `$and` is the
/// end of the query. Each part of the query uses an index, so the query does not read the projects
/// of other people.
macro_rules! of_user {
    ($and:literal) => {
        concat!(
            "SELECT id, name, kind FROM projects WHERE id IN (SELECT id FROM projects WHERE owner_id = ?1 \
             UNION ALL SELECT id FROM projects WHERE kind = 'public' \
             UNION ALL SELECT project_id FROM memberships JOIN projects ON id = project_id \
             WHERE user_id = ?1 AND kind = 'shared') \
             AND NOT EXISTS (SELECT 1 FROM removed_projects WHERE project_id = id)",
            $and
        )
    };
}

/// The query of the public projects.
const PUBLIC: &str = "SELECT id FROM projects WHERE kind = 'public' \
                      AND NOT EXISTS (SELECT 1 FROM removed_projects WHERE project_id = id) ORDER BY name, id";

impl Projects {
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Returns the projects that a person can use: the personal project first, the public projects
    /// last.
    pub async fn of_user(&self, user: i64) -> sqlx::Result<Vec<Project>> {
        let rows: Vec<Row> = query(of_user!(" ORDER BY kind = 'personal' DESC, kind = 'public', name, id"))
            .bind(user)
            .fetch_all(&self.db)
            .await?;
        Ok(rows.into_iter().map(Project::from).collect())
    }

    /// Returns the project if the user can use it, otherwise `None`.
    pub async fn find_of_user(&self, user: i64, project: i64) -> sqlx::Result<Option<Project>> {
        let row: Option<Row> =
            query(of_user!(" AND id = ?2")).bind(user).bind(project).fetch_optional(&self.db).await?;
        Ok(row.map(Project::from))
    }

    /// Returns the project with this number, without a check who can use it. The name of a removed
    /// project ends with "(removed)".
    pub async fn find(&self, project: i64) -> sqlx::Result<Option<Project>> {
        let sql = "SELECT id, CASE WHEN EXISTS (SELECT 1 FROM removed_projects WHERE project_id = id) THEN name || ' (removed)' ELSE name END, \
                   kind FROM projects WHERE id = ?";
        let row: Option<Row> = query(sql).bind(project).fetch_optional(&self.db).await?;
        Ok(row.map(Project::from))
    }

    pub async fn personal(&self, user: i64) -> sqlx::Result<Option<Project>> {
        let row: Option<Row> =
            query("SELECT id, name, kind FROM projects WHERE owner_id = ?").bind(user).fetch_optional(&self.db).await?;
        Ok(row.map(Project::from))
    }

    /// Returns the projects with these ids, sorted by name. Removed projects are left out.
    pub async fn of_ids(&self, ids: &[i64]) -> sqlx::Result<Vec<Project>> {
        let sql = "SELECT id, name, kind FROM projects WHERE id IN (?*) \
                   AND NOT EXISTS (SELECT 1 FROM removed_projects WHERE project_id = id) ORDER BY name, id";
        let rows: Vec<Row> = query(sql).bind(ids).fetch_all(&self.db).await?;
        Ok(rows.into_iter().map(Project::from).collect())
    }

    /// Returns the numbers of the public projects, sorted by name. Removed projects are left out.
    /// The cost does not depend on the number of other projects.
    pub async fn public(&self) -> sqlx::Result<Vec<i64>> {
        query(PUBLIC).column(&self.db).await
    }

    pub async fn leave(&self, project: i64, user: i64) -> sqlx::Result<()> {
        query("DELETE FROM memberships WHERE project_id = ? AND user_id = ?")
            .bind(project)
            .bind(user)
            .execute(&self.db)
            .await?;
        Ok(())
    }
}

/// Returns all projects, sorted by name. Removed projects are left out.
pub async fn all(db: impl Into<On<'_>>) -> sqlx::Result<Vec<Project>> {
    let sql = "SELECT id, name, kind FROM projects \
               WHERE NOT EXISTS (SELECT 1 FROM removed_projects WHERE project_id = id) ORDER BY name, id";
    let rows: Vec<Row> = query(sql).fetch_all(db).await?;
    Ok(rows.into_iter().map(Project::from).collect())
}

pub async fn insert(db: impl Into<On<'_>>, name: &str, kind: Kind, owner: Option<i64>) -> sqlx::Result<i64> {
    let sql = "INSERT INTO projects (name, kind, owner_id) VALUES (?, ?, ?) RETURNING id";
    query(sql).bind(name).bind(kind.as_str()).bind(owner).value(db).await
}

pub async fn join(db: impl Into<On<'_>>, project: i64, user: i64) -> sqlx::Result<()> {
    query("INSERT INTO memberships (project_id, user_id) VALUES (?, ?)").bind(project).bind(user).execute(db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn public_projects_are_found_without_reading_the_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let db = Db::open_file(&dir.path().join("host.db")).await.expect("it opens");
        let plan = query(format!("EXPLAIN QUERY PLAN {PUBLIC}"));
        let steps: Vec<(i64, i64, i64, String)> = plan.fetch_all(&db).await.expect("it is planned");
        let steps: Vec<String> = steps.into_iter().map(|(.., step)| step).collect();
        let scans: Vec<_> =
            steps.iter().filter(|step| step.starts_with("SCAN") && *step != "SCAN CONSTANT ROW").collect();
        assert_eq!(scans, ["SCAN projects USING COVERING INDEX projects_public"], "{steps:?}");
    }
}
