//! The page with the policy, and a preview of another one. The policy itself is in `config.json`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use keyfob::{Policy, policy::PolicyHit};

use crate::app::App;
use crate::people::directory;
use crate::tokens::own::Refused;
use crate::web::admin::policy_form::PolicyForm;
use crate::web::admin::{allow, policy_words};
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::plural::counted;
use crate::web::sessions::SignedIn;
use crate::web::time_words::Time;

const PATH: &str = "/admin/policy";
/// The maximum number of rows in the preview.
const MOST: usize = 200;

#[derive(Template)]
#[template(path = "admin_policy.html")]
struct PolicyPage<'a> {
    frame: Frame<'a>,
    rules: Vec<(&'static str, Vec<String>)>,
    form: PolicyForm,
    preview: Option<Preview>,
}

/// The tokens that a proposed policy would block.
struct Preview {
    /// The totals as a sentence.
    says: String,
    hits: Vec<Hit>,
    more: usize,
    /// The text for `config.json`.
    json: String,
}

/// Tokens of one person in one project, which the policy would block by the same rule.
struct Hit {
    person: (i64, String),
    project: (i64, String),
    tokens: u64,
    reason: String,
    /// The time from which the tokens would be blocked. `None` means immediately.
    from: Option<Time>,
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    asked: Result<Query<HashMap<String, String>>, QueryRejection>,
) -> Result<Response, PageError> {
    allow(&signed_in)?;
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    let mut form = PolicyForm::of(app.tokens.policy());
    let (mut preview, mut status) = (None, StatusCode::OK);
    // The preview reads every token, so the page makes it only on request.
    if asked.contains_key("preview") {
        form.fill(&asked);
        match form.policy() {
            Some(policy) => preview = Some(Preview::of(&app, &policy).await?),
            None => status = StatusCode::BAD_REQUEST,
        }
    }
    let rules = policy_words::rules(app.tokens.policy());
    let page =
        render(&PolicyPage { frame: Frame::new(&app, &signed_in, Here::Policy, None).await?, rules, form, preview })?;
    Ok((status, page).into_response())
}

impl Preview {
    async fn of(app: &App, policy: &Policy) -> Result<Self, Refused> {
        let found = app.tokens.dry_run(policy).await.map_err(Refused::failed)?;
        let now = app.tokens.now();
        let says = totals(&found, |hit| hit.from <= now);
        let number = |text: &str| text.parse::<i64>().unwrap_or(0);
        let shown = &found[..found.len().min(MOST)];
        let ids = |of: fn(&PolicyHit) -> &str| shown.iter().map(|hit| number(of(hit))).collect::<Vec<_>>();
        let people = directory::names_of_people(&app.db, &ids(|hit| hit.owner.as_str())).await;
        let projects = directory::names_of_projects(&app.db, &ids(|hit| hit.project.as_str())).await;
        let (people, projects) = (people.map_err(Refused::failed)?, projects.map_err(Refused::failed)?);
        let named = |id: i64, names: &HashMap<i64, String>, unknown: &str| {
            (id, names.get(&id).cloned().unwrap_or_else(|| unknown.into()))
        };
        let hits = shown.iter().map(|hit| Hit {
            person: named(number(hit.owner.as_str()), &people, "Unknown person"),
            project: named(number(hit.project.as_str()), &projects, "Unknown project"),
            tokens: hit.tokens,
            reason: policy_words::breach(hit.breach, policy),
            from: (hit.from > now).then(|| Time::ahead(hit.from, now)),
        });
        let json = serde_json::json!({ "policy": policy });
        let json = serde_json::to_string_pretty(&json).map_err(|error| Refused::failed(Box::new(error)))?;
        Ok(Self { says, hits: hits.collect(), more: found.len() - shown.len(), json })
    }
}

/// Returns the totals of a preview as a sentence.
fn totals(hits: &[PolicyHit], is_now: impl Fn(&PolicyHit) -> bool) -> String {
    let people = hits.iter().map(|hit| hit.owner.as_str()).collect::<BTreeSet<_>>().len() as u64;
    let people = if people == 1 { "1 person".into() } else { format!("{people} people") };
    let all: u64 = hits.iter().map(|hit| hit.tokens).sum();
    let at_once: u64 = hits.iter().filter(|hit| is_now(hit)).map(|hit| hit.tokens).sum();
    match (all, all - at_once) {
        (0, _) => "This policy would block no live token.".into(),
        (_, 0) => format!("This policy would block {} of {people} immediately.", counted(all, "live token")),
        (_, later) => format!(
            "This policy would block {} of {people}: {at_once} immediately and {later} later.",
            counted(all, "live token")
        ),
    }
}
