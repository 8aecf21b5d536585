//! The form of the table, and the comparison of an answer with its row.

use std::pin::Pin;

use serde_json::Value;

use crate::http::rows::rows;
use crate::http::world::{Pace, World};

/// A route of the service that each driver builds. The handlers answer with the texts that are
/// named here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// `project_in_path("project", "repo:read")` for the project with this text. The answer of the
    /// handler is `OWNER in PROJECT`.
    Path(&'static str),
    /// `project_in_header("X-Project", "repo:read")`, with the same handler.
    Header,
    /// `project_by` with the first label of the header `x-host`, with the same handler.
    By,
    /// `project(145, "repo:read")`, with the same handler.
    Fixed,
    /// The same as `Fixed`, of a guard with the Basic challenge.
    Basic,
    /// `own_project("")`. The answer of the handler is `OWNER of PROJECT`.
    Own,
    /// `own_project("")`, whose handler calls `in_project` with 145. Its answer is that of `Path`.
    Late,
    /// `project(145, "repo:read")` with `or_other`. The answer of the handler, which takes a
    /// `Caller`, is `token of OWNER` or `other`.
    Beside,
    /// The same as `Beside`, with the handler of `Fixed`.
    BesideStrict,
    /// No guard, with the handler of `Fixed`.
    Unguarded,
    /// The guard of `Own`, with the handler of `Fixed`.
    WrongKind,
    /// `project_in_path("project", "")` on a path without a parameter.
    Misplaced,
}

impl Route {
    /// Returns the path of a request for this route.
    pub fn path(self) -> String {
        match self {
            Self::Path(project) => format!("/path/{project}"),
            Self::Header => "/header".into(),
            Self::By => "/by".into(),
            Self::Fixed => "/fixed".into(),
            Self::Basic => "/basic".into(),
            Self::Own => "/own".into(),
            Self::Late => "/late".into(),
            Self::Beside => "/beside".into(),
            Self::BesideStrict => "/beside-strict".into(),
            Self::Unguarded => "/unguarded".into(),
            Self::WrongKind => "/wrong-kind".into(),
            Self::Misplaced => "/misplaced".into(),
        }
    }
}

/// The headers of a request, with their names in lower case.
pub type Headers = Vec<(&'static str, Vec<u8>)>;

/// A request to the service.
pub struct Sent {
    pub route: Route,
    pub method: &'static str,
    pub headers: Headers,
}

/// The answer of the service.
pub struct Got {
    pub status: u16,
    /// The headers, with their names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What the service must answer.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// The handler answers with this text.
    Passed(&'static str),
    /// The request is refused with this status and this reason.
    Refused(u16, &'static str),
}

/// Prepares the tokens of a row, and returns the headers of its request.
type Prepare = for<'w> fn(&'w World) -> Pin<Box<dyn Future<Output = Headers> + Send + 'w>>;

pub struct Row {
    pub name: &'static str,
    pub route: Route,
    pub method: &'static str,
    pub prepare: Prepare,
    pub expected: Expected,
}

/// Runs each row through a driver, which sends one request to a service over the world of the row.
/// The answer is the same whether or not the store and the directory of owners must wait.
pub async fn run(driver: impl AsyncFn(&World, &Sent) -> Got, check: impl Fn(&Row, &Got)) {
    let rows = rows();
    assert!(rows.len() >= 60, "only {} rows", rows.len());
    for pace in [Pace::FromMemory, Pace::AfterWait] {
        for row in &rows {
            println!("{}, {pace:?}", row.name);
            let world = World::at(pace);
            let headers = (row.prepare)(&world).await;
            let sent = Sent { route: row.route, method: row.method, headers };
            check(row, &driver(&world, &sent).await);
        }
    }
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Row {
    /// Compares an answer in HTTP with the row.
    pub fn check(&self, got: &Got) {
        let (name, head) = (self.name, self.method == "HEAD");
        match self.expected {
            Expected::Passed(body) => {
                assert_eq!((got.status, &*got.body), (200, if head { "" } else { body }), "{name}");
                assert_eq!(got.header("www-authenticate"), None, "{name}");
            }
            Expected::Refused(status, reason) => {
                assert_eq!(got.status, status, "{name}: {}", got.body);
                assert_eq!(got.header("content-type"), Some("application/problem+json"), "{name}");
                assert_eq!(got.header("cache-control"), Some("no-store"), "{name}");
                if head {
                    assert_eq!(got.body, "", "{name}");
                } else {
                    self.check_problem(got, status, reason);
                }
                self.check_challenges(&got.all("www-authenticate").collect::<Vec<_>>(), status, reason);
            }
        }
    }

    fn check_problem(&self, got: &Got, status: u16, reason: &str) {
        let name = self.name;
        let problem: Value = serde_json::from_str(&got.body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let members = problem.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(members, ["detail", "reason", "status", "title", "type"], "{name}");
        assert_eq!((&problem["status"], &problem["reason"]), (&status.into(), &reason.into()), "{name}");
        assert_eq!(problem["type"], "about:blank", "{name}");
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{name}");
    }

    /// Checks the challenges of a refusal, which are the same in HTTP and in gRPC.
    pub fn check_challenges(&self, challenges: &[&str], status: u16, reason: &str) {
        let name = self.name;
        let error = match (status, reason) {
            (401, "missing_token" | "wrong_scheme") => None,
            (401, _) => Some("invalid_token"),
            (403, _) => Some("insufficient_scope"),
            (400, "repeated_token" | "malformed_header") => Some("invalid_request"),
            _ => return assert!(challenges.is_empty(), "{name}: {challenges:?}"),
        };
        let (bearer, basic) = challenges.split_first().unwrap_or_else(|| panic!("{name}: no challenge"));
        assert!(bearer.starts_with("Bearer realm=\"acme\""), "{name}: {bearer}");
        let named = bearer.split_once(", error=\"").map(|(_, rest)| rest.split('"').next().unwrap());
        assert_eq!(named, error, "{name}: {bearer}");
        let scopes =
            !matches!(self.route, Route::Own | Route::Late) && (status == 401 || reason == "insufficient_scope");
        assert_eq!(bearer.contains(", scope=\"repo:read\""), scopes, "{name}: {bearer}");
        let wanted: &[&str] = match self.route {
            Route::Basic if status == 401 => &["Basic realm=\"acme\", charset=\"UTF-8\""],
            _ => &[],
        };
        assert_eq!(basic, wanted, "{name}");
    }
}
