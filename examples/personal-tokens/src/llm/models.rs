//! The models of projects, from the configuration file and from the administrator's form.

use std::fmt;

use keyfob::Name;
use serde::Deserialize;

use crate::connect;
use crate::db::{Db, Truth, query};
use crate::llm::upstream::{Upstream, Upstreams};
use crate::people::projects::{Kind, Project, Projects};

/// A model of a project.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Model {
    /// The id of the model's row in the database, if an administrator added the model on the page.
    /// It is `None` for other models.
    pub id: Option<i64>,
    /// The project that the model belongs to. Questions to the model use the credential of this
    /// project.
    pub project_id: i64,
    pub name: String,
    /// Whether the project suggests this model.
    pub default: bool,
    /// The name of the upstream in [`Upstreams`].
    pub upstream: String,
    /// The name that the upstream uses for the model, if it differs from `name`.
    pub upstream_model: Option<String>,
}

impl Model {
    pub fn integration_uid(&self) -> String {
        connect::integration_uid(self.project_id, &self.name)
    }

    /// Returns the built-in model of a project, which repeats the question.
    fn echo(project_id: i64) -> Self {
        let (name, upstream) = ("echo".into(), ECHO.into());
        Self { id: None, project_id, name, default: true, upstream, upstream_model: None }
    }

    /// Returns the URL query that chooses this model on a page.
    pub fn query(&self) -> String {
        serde_urlencoded::to_string([("integration", self.integration_uid())]).unwrap_or_default()
    }
}

/// A model in `config.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    project_id: i64,
    name: String,
    upstream: String,
    #[serde(default)]
    upstream_model: Option<String>,
    #[serde(default)]
    default: bool,
}

/// The name of the built-in upstream, which repeats the question. With it, people can try the
/// service without a provider.
pub const ECHO: &str = "built-in echo";

/// The reason why a model is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelError {
    Name,
    Project,
    Upstream,
    UpstreamModel,
    Credential,
    Taken,
    /// The configuration names two default models of one project. In the form, this is no error:
    /// a new default model replaces the old default model.
    Defaults,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a model's name must have 1 to 255 characters, without invisible and control characters",
            Self::Project => "the project does not exist",
            Self::Upstream => "the configuration file does not define this upstream",
            Self::UpstreamModel => {
                "the model's name at the upstream must have at most 255 characters, without control characters"
            }
            Self::Credential => "the upstream has no credential for this project in the configuration file",
            Self::Taken => "the project already has a model of this name",
            Self::Defaults => "the project already has a default model",
        })
    }
}

impl std::error::Error for ModelError {}

pub struct Models {
    db: Db,
    configured: Vec<Model>,
    pub upstreams: Upstreams,
}

type Row = (i64, i64, String, String, Option<String>, Truth);

/// Expands to a query that reads [`Row`]s. `$where` is the condition.
macro_rules! select_models {
    ($where:literal) => {
        concat!(
            "SELECT id, project_id, name, upstream, upstream_model, is_default FROM models ",
            $where,
            " ORDER BY project_id, name"
        )
    };
}

/// The query of the models that a project may use.
const OF_PROJECT: &str =
    select_models!("WHERE project_id = ? OR project_id IN (SELECT id FROM projects WHERE kind = 'public')");

impl From<Row> for Model {
    fn from((id, project_id, name, upstream, upstream_model, Truth(default)): Row) -> Self {
        Self { id: Some(id), project_id, name, default, upstream, upstream_model }
    }
}

impl Models {
    /// Creates the models from the database table. [`configure`](Self::configure) adds the models
    /// of the configuration.
    pub fn new(db: Db, upstreams: Upstreams) -> Self {
        Self { db, configured: Vec::new(), upstreams }
    }

    /// Adds the models of the configuration.
    ///
    /// # Errors
    /// Returns an error with the [`ModelError`] of the first model that is not accepted.
    pub fn configure(&mut self, projects: &[Project], entries: Vec<ModelEntry>) -> Result<(), String> {
        for entry in entries {
            let model = Model {
                id: None,
                project_id: entry.project_id,
                name: entry.name,
                default: entry.default,
                upstream: entry.upstream,
                upstream_model: entry.upstream_model,
            };
            let is_default = |other: &Model| other.project_id == model.project_id && other.default && model.default;
            let checked = self.check(&model, projects).and_then(|()| match self.configured.iter().any(is_default) {
                true => Err(ModelError::Defaults),
                false => Ok(()),
            });
            checked.map_err(|error| format!("model {:?}: {error}", model.name))?;
            self.configured.push(model);
        }
        Ok(())
    }

    fn check(&self, model: &Model, projects: &[Project]) -> Result<(), ModelError> {
        // The names of models follow the rule for the names of tokens, because people choose a
        // model from a list. Spaces around a name stay, because the name is sent unchanged. U+FFFE
        // and U+FFFF are refused too: they are not characters, and XML cannot contain them.
        let name = &model.name;
        let is_name = Name::new(name).is_ok() && name.trim() == name.trim_matches(' ') && name.chars().count() <= 255;
        if !is_name || name.contains(['\u{fffe}', '\u{ffff}']) {
            return Err(ModelError::Name);
        }
        if !projects.iter().any(|project| project.id == model.project_id) {
            return Err(ModelError::Project);
        }
        // The column of the database has this width.
        let is_name = |name: &String| name.chars().count() <= 255 && !name.chars().any(char::is_control);
        if !model.upstream_model.iter().all(is_name) {
            return Err(ModelError::UpstreamModel);
        }
        let upstream = self.upstreams.get(&model.upstream).ok_or(ModelError::Upstream)?;
        upstream.credential(model.project_id).ok_or(ModelError::Credential)?;
        let same = |other: &Model| other.project_id == model.project_id && other.name == model.name;
        match self.configured.iter().any(same) {
            true => Err(ModelError::Taken),
            false => Ok(()),
        }
    }

    /// Returns all models. If there are none, each public project gets the model `echo`, so that a
    /// person who has just started the service can try everything.
    pub async fn all(&self, projects: &Projects) -> sqlx::Result<Vec<Model>> {
        let rows: Vec<Row> = query(select_models!("")).fetch_all(&self.db).await?;
        let mut models = self.configured.clone();
        models.extend(rows.into_iter().map(Model::from));
        if models.is_empty() {
            models.extend(projects.public().await?.into_iter().map(Model::echo));
        }
        Ok(models)
    }

    /// Returns the models that a project may use: its own models, and then the models of public
    /// projects. The cost does not depend on the number of people, who all have projects and may
    /// have models of their own.
    pub async fn of_project(&self, projects: &Projects, project: &Project) -> sqlx::Result<Vec<Model>> {
        let public = projects.public().await?;
        let rows: Vec<Row> = query(OF_PROJECT).bind(project.id).fetch_all(&self.db).await?;
        let is_usable = |model: &&Model| model.project_id == project.id || public.contains(&model.project_id);
        let mut models: Vec<Model> = self.configured.iter().filter(is_usable).cloned().collect();
        for model in rows.into_iter().map(Model::from) {
            // An entry that was added to the configuration file later wins.
            if !models.iter().any(|other| other.project_id == model.project_id && other.name == model.name) {
                models.push(model);
            }
        }
        if models.is_empty() && !self.has_any().await? {
            models.extend(public.into_iter().map(Model::echo));
        }
        models.sort_by_key(|model| model.project_id != project.id);
        Ok(models)
    }

    /// Returns the number of models of a project in the configuration file.
    pub fn configured_of(&self, project: i64) -> usize {
        self.configured.iter().filter(|model| model.project_id == project).count()
    }

    /// Returns the ids of the projects for which an upstream has a credential. Only these projects
    /// can have models.
    pub fn projects_with_credential(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.upstreams.values().flat_map(Upstream::projects).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Returns whether any project has a model.
    async fn has_any(&self) -> sqlx::Result<bool> {
        if !self.configured.is_empty() {
            return Ok(true);
        }
        query("SELECT EXISTS (SELECT 1 FROM models)").is_true(&self.db).await
    }

    /// Adds a model from the administrator's form. The inner error is the reason why the model is
    /// not accepted.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub async fn add(&self, projects: &Projects, model: &Model) -> Result<Result<(), ModelError>, sqlx::Error> {
        if let Err(error) = self.check(model, &projects.of_ids(&[model.project_id]).await?) {
            return Ok(Err(error));
        }
        let mut transaction = self.db.begin().await?;
        if model.default {
            query("UPDATE models SET is_default = 0 WHERE project_id = ?")
                .bind(model.project_id)
                .execute(&mut transaction)
                .await?;
        }
        let added = query(
            "INSERT INTO models (project_id, name, upstream, upstream_model, is_default) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind(model.project_id)
        .bind(&model.name)
        .bind(&model.upstream)
        .bind(&model.upstream_model)
        .bind(model.default)
        .execute(&mut transaction)
        .await?;
        if added == 0 {
            return Ok(Err(ModelError::Taken));
        }
        transaction.commit().await?;
        Ok(Ok(()))
    }

    /// Removes a model that was added with the form. Returns whether the model existed.
    pub async fn remove(&self, id: i64) -> sqlx::Result<bool> {
        let done = query("DELETE FROM models WHERE id = ?").bind(id).execute(&self.db).await?;
        Ok(done > 0)
    }
}

/// Returns the model that settings files name if the person has not chosen a model: the default
/// model of the project, otherwise the project's first own model, otherwise any default model,
/// otherwise the first model. Returns `None` for a public project.
pub fn choose<'m>(models: &'m [Model], project: &Project) -> Option<&'m Model> {
    if project.kind == Kind::Public {
        return None;
    }
    let own = || models.iter().filter(|model| model.project_id == project.id);
    let of_own = own().find(|model| model.default).or_else(|| own().next());
    of_own.or_else(|| models.iter().find(|model| model.default)).or(models.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(project_id: i64, name: &str, default: bool) -> Model {
        Model { id: None, project_id, name: name.into(), default, upstream: "u".into(), upstream_model: None }
    }

    #[track_caller]
    fn chooses(kind: Kind, models: &[Model], name: Option<&str>) {
        let project = Project { id: 2, name: "two".into(), kind };
        assert_eq!(choose(models, &project).map(|model| model.name.as_str()), name);
    }

    #[tokio::test]
    async fn models_and_projects_of_other_people_are_not_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let db = Db::open_file(&dir.path().join("host.db")).await.expect("it opens");
        let plan = query(format!("EXPLAIN QUERY PLAN {OF_PROJECT}")).bind(1_i64);
        let steps: Vec<(i64, i64, i64, String)> = plan.fetch_all(&db).await.expect("it is planned");
        let steps: Vec<String> = steps.into_iter().map(|(.., step)| step).collect();
        let reads = |what: &str| steps.iter().filter(|step| step.starts_with(what)).count();
        assert_eq!((reads("SCAN models"), reads("SEARCH models")), (0, 2), "{steps:?}");
        assert_eq!(reads("SCAN projects USING COVERING INDEX projects_public"), reads("SCAN"), "{steps:?}");
    }

    #[test]
    fn own_and_default_models_are_suggested_first() {
        let (own, own_default) = (model(2, "own", false), model(2, "own default", true));
        let (other, other_default) = (model(9, "other", false), model(9, "other default", true));
        let shared = Kind::Shared;
        chooses(shared, &[own.clone(), own_default.clone(), other_default.clone()], Some("own default"));
        chooses(shared, &[other_default.clone(), own.clone(), model(2, "second", false)], Some("own"));
        chooses(shared, &[other.clone(), other_default.clone()], Some("other default"));
        chooses(shared, std::slice::from_ref(&other), Some("other"));
        chooses(shared, &[], None);
        chooses(Kind::Personal, &[own.clone(), own_default.clone()], Some("own default"));
        chooses(Kind::Public, &[own, own_default, other, other_default], None);
    }
}
