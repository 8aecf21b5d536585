//! The requests that every port must answer in the same way. Each port includes this file.

use keyfob::{Actor, Keyring, Pepper, Prefix};
use keyfob::{MemoryStore, Name, NewToken, OwnerId, PlaintextToken, ProjectId, ScopeSet, Tokens};

/// A request with the method GET, and the response that it must get.
pub struct Case {
    pub path: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub status: u16,
    /// The whole body, or the `reason` of a refusal.
    pub says: &'static str,
}

/// A response of a port.
pub struct Answer {
    pub status: u16,
    /// The values of the header `WWW-Authenticate`.
    pub challenges: Vec<String>,
    pub body: String,
}

/// Returns a service of tokens, and the requests for the app that is built from it.
pub async fn cases() -> (Tokens<MemoryStore>, Vec<Case>) {
    let keyring = Keyring::new(Prefix::new("acme_pat").unwrap(), Pepper::generate().unwrap());
    let tokens = Tokens::new(keyring, MemoryStore::new());
    let reads = issue(&tokens, "145", "notes:read").await;
    let lacks = issue(&tokens, "145", "").await;
    let bearer = |token: &PlaintextToken| vec![("authorization", format!("Bearer {}", token.expose_secret()))];
    let forged = format!("Bearer {}", reads.expose_secret().replace("_145_", "_146_"));
    let case = |path, headers, status, says| Case { path, headers, status, says };
    let cases = vec![
        case("/projects/145/notes", bearer(&reads), 200, "ada reads the notes of project 145"),
        case("/whoami", bearer(&reads), 200, "ada"),
        case("/whoami", bearer(&lacks), 200, "ada"),
        case("/projects/145/notes", bearer(&lacks), 403, "insufficient_scope"),
        case("/projects/146/notes", bearer(&reads), 403, "wrong_project"),
        case("/projects/146/notes", vec![("authorization", forged)], 401, "invalid_token"),
        case("/projects/145/notes", Vec::new(), 401, "missing_token"),
        case("/projects/145/notes", vec![("authorization", "Digest x".to_owned())], 401, "wrong_scheme"),
        case("/projects/145/notes", [bearer(&reads), bearer(&reads)].concat(), 400, "repeated_token"),
        case("/projects/A/notes", bearer(&reads), 404, "not_found"),
        case("/projects/%ff/notes", bearer(&reads), 404, "not_found"),
        case("/whoami", Vec::new(), 401, "missing_token"),
    ];
    (tokens, cases)
}

async fn issue(tokens: &Tokens<MemoryStore>, project: &str, scopes: &str) -> PlaintextToken {
    let (owner, name) = (OwnerId::new("ada").unwrap(), Name::new("CI").unwrap());
    let new = NewToken::new(ProjectId::new(project).unwrap(), owner, name);
    let new = new.with_scopes(ScopeSet::new(scopes).unwrap());
    tokens.issue(&Actor::new("ada").unwrap(), new).await.unwrap().token
}

impl Case {
    /// Checks the response of a port to this request.
    #[track_caller]
    pub fn check(&self, answer: &Answer) {
        let Self { path, status, says, .. } = self;
        let Answer { challenges, body, .. } = answer;
        assert_eq!(answer.status, *status, "{path}: {body}");
        if *status == 200 {
            return assert_eq!(body, says, "{path}");
        }
        assert!(body.contains(&format!(r#""reason":"{says}""#)), "{path}, {says}: {body}");
        assert_eq!(challenges.len(), usize::from(*status != 404), "{path}: {challenges:?}");
        assert!(challenges.iter().all(|one| one.starts_with(r#"Bearer realm="acme""#)), "{path}: {challenges:?}");
    }
}
