//! The pages for administrators: people, projects, their tokens, the policy, the keys, the models
//! and the health of the service. For other people, these pages do not exist.

use std::sync::Arc;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::app::App;
use crate::people::denied::Denied;
use crate::web::error::{PageError, sentence};
use crate::web::sessions::SignedIn;

pub mod all_tokens;
pub mod confirm;
pub mod health;
pub mod keys;
pub mod members;
pub mod models;
pub mod people;
pub mod people_acts;
pub mod person;
pub mod policy;
pub mod policy_form;
pub mod policy_words;
pub mod project;
pub mod project_acts;
pub mod projects;
pub mod show;
pub mod token_list;
pub mod tokens;
pub mod view;

/// Creates the routes of the pages for administrators.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/admin", get(home))
        .route("/admin/people", get(people::show).post(people_acts::add))
        .route("/admin/people/{id}", get(person::show))
        .route("/admin/people/{id}/invite", post(people_acts::invite))
        .route("/admin/people/{id}/appoint", post(people_acts::appoint))
        .route("/admin/people/{id}/withdraw", post(people_acts::withdraw))
        .route("/admin/people/{id}/suspend", post(people_acts::suspend))
        .route("/admin/people/{id}/reinstate", post(people_acts::reinstate))
        .route("/admin/people/{id}/remove", post(people_acts::remove))
        .route("/admin/people/{id}/revoke-all", post(people_acts::revoke_all))
        .route("/admin/projects", get(projects::show).post(project_acts::add))
        .route("/admin/projects/{id}", get(project::show))
        .route("/admin/projects/{id}/rename", post(project_acts::rename))
        .route("/admin/projects/{id}/remove", post(project_acts::remove))
        .route("/admin/projects/{id}/revoke-all", post(project_acts::revoke_all))
        .route("/admin/projects/{id}/members", get(members::show).post(members::add))
        .route("/admin/projects/{id}/members/{person}/remove", post(members::remove))
        .route("/admin/tokens", get(all_tokens::show))
        .route("/admin/tokens/{project}/{id}", get(tokens::history))
        .route("/admin/tokens/{project}/{id}/revoke", post(tokens::revoke))
        .route("/admin/policy", get(policy::show))
        .route("/admin/keys", get(keys::show))
        .route("/admin/models", get(models::show).post(models::add))
        .route("/admin/models/{id}/remove", post(models::remove))
        .route("/admin/health", get(health::show))
}

/// Leads to the first page.
async fn home(signed_in: SignedIn) -> Result<Redirect, PageError> {
    allow(&signed_in)?;
    Ok(Redirect::to(people::PATH))
}

/// Checks that the person is an administrator. For other people, the page does not exist.
///
/// # Errors
/// Returns [`PageError::NotFound`] if the person is not an administrator.
pub fn allow(signed_in: &SignedIn) -> Result<(), PageError> {
    if signed_in.user.admin { Ok(()) } else { Err(PageError::NotFound) }
}

/// Checks that a form comes from a page of an administrator.
///
/// # Errors
/// Returns [`PageError`] if the person is not an administrator, or if the form is forged.
pub fn allow_form(signed_in: &SignedIn, csrf: &str) -> Result<(), PageError> {
    allow(signed_in)?;
    signed_in.check_form(csrf)
}

/// Returns the reason of a refusal as a sentence.
pub fn in_words(denied: Denied) -> String {
    sentence(&denied.to_string())
}

/// Returns the message that the parameter `said` selects, if it is about the revocation of all
/// tokens of a person or a project. `thing` is the word for the person or the project.
pub fn said_of_tokens(word: &str, thing: &str) -> Option<String> {
    if let Some(count) = word.strip_prefix("revoked-") {
        return count.parse().ok().map(revoked);
    }
    let count = word.strip_prefix("removed-")?.parse().ok()?;
    Some(format!("The {thing} is removed. {}", revoked(count)))
}

/// Returns the message about tokens that were revoked.
fn revoked(count: u64) -> String {
    match count {
        0 => "No token was live, so nothing was revoked.".into(),
        1 => "1 token was revoked and has stopped working.".into(),
        count => format!("{count} tokens were revoked and have stopped working."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_about_revoked_tokens_fits_their_number() {
        for (count, start) in [(0, "No token was"), (1, "1 token was revoked and has"), (2, "2 tokens were")] {
            assert!(revoked(count).starts_with(start), "{count}");
        }
    }
}
