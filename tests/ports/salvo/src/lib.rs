//! A service with Salvo whose routes keyfob guards.

pub mod connect;

use keyfob::access::OwnProject;
use keyfob::http::{Authenticated, Guard};
use keyfob::{Invalid, MemoryStore, Tokens};
use salvo::{Request, Router, handler};

use crate::connect::{Guarded, Refused, Salvo};

/// Returns the service: the notes of a project, and the owner of the presented token.
pub fn app(tokens: Tokens<MemoryStore>) -> Result<Router, Invalid> {
    let guard = Guard::<Salvo>::new(tokens).with_realm("acme");
    let in_project = Guarded(guard.project_in_path("project", "notes:read")?);
    let in_own = Guarded(guard.own_project("")?);
    Ok(Router::new()
        .push(Router::with_path("projects/{project}/notes").hoop(in_project).get(notes))
        .push(Router::with_path("whoami").hoop(in_own).get(whoami)))
}

#[handler]
async fn notes(request: &mut Request) -> Result<String, Refused> {
    let caller: Authenticated = Authenticated::of::<Salvo>(request)?;
    Ok(format!("{} reads the notes of project {}", caller.owner(), caller.project()))
}

#[handler]
async fn whoami(request: &mut Request) -> Result<String, Refused> {
    let caller = Authenticated::<OwnProject>::of::<Salvo>(request)?;
    Ok(caller.owner().to_string())
}
