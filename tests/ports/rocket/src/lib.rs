//! A service with Rocket whose routes keyfob guards.

pub mod connect;

use keyfob::access::OwnProject;
use keyfob::http::Guard;
use keyfob::{Invalid, MemoryStore, Tokens};
use rocket::{Build, Rocket, get, routes};

use crate::connect::{Caller, OnRocket, Refused, guarded};

/// Returns the service: the notes of a project, and the owner of the presented token.
pub fn app(tokens: Tokens<MemoryStore>) -> Result<Rocket<Build>, Invalid> {
    let guard = Guard::<OnRocket>::new(tokens).with_realm("acme");
    let in_project = guard.project_in_path("project", "notes:read")?;
    Ok(rocket::build()
        .mount("/projects", guarded(routes![notes], in_project))
        .mount("/", guarded(routes![whoami], guard.own_project("")?)))
}

#[get("/<project>/notes")]
fn notes(project: &str, caller: Result<Caller, Refused>) -> Result<String, Refused> {
    Ok(format!("{} reads the notes of project {project}", caller?.0.owner()))
}

#[get("/whoami")]
fn whoami(caller: Result<Caller<OwnProject>, Refused>) -> Result<String, Refused> {
    Ok(caller?.0.owner().to_string())
}
