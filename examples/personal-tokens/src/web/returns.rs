//! Leads a person back to their page after the sign-in, and keeps the draft of a form if the
//! session has ended.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use keyfob::leak::Finder;

use crate::app::{App, MOST_OF_FORM};
use crate::web::sessions::SignedIn;

/// The page to which a person returns if they wanted no other page.
pub const HOME: &str = "/settings/tokens";
/// The maximum length of an address to return to. A name of 255 characters has at most 3,060 bytes
/// in an address.
const LONGEST: usize = 6 * 1024;

/// The fields of a form that its draft keeps, each with its maximum number of characters. Neither
/// the csrf value nor the id of the form is among them.
const FIELDS: [(&str, usize); 6] =
    [("name", 255), ("preset", 32), ("amount", 32), ("unit", 32), ("scope", 100), ("addresses", 1000)];
/// The field that a form may contain more than once, and how often the draft keeps it.
const REPEATED: (&str, usize) = ("scope", 20);

/// Returns the address if it is a path of this site. An attacker can write any address into a link
/// to the sign-in page, so an address must not lead to another site: browsers take `//host` and
/// `/\host` for addresses of other hosts, and ignore some control characters.
pub fn own_address(next: &str) -> Option<&str> {
    let rest = next.strip_prefix('/')?;
    let is_own = !rest.starts_with('/')
        && next.len() <= LONGEST
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_own.then_some(next)
}

/// Redirects a request without a session to the sign-in page. After the sign-in, the person returns
/// to the page that they wanted, or to the page of the form that they sent. If the address of the
/// page contains a token, for instance as the text of a search, they return to [`HOME`].
pub fn to_sign_in(method: &Method, uri: &Uri, finder: &Finder) -> Redirect {
    match *method {
        Method::GET | Method::HEAD => {
            let wanted = uri.path_and_query().map(|path| path.as_str());
            sign_in_for(wanted.filter(|path| finder.find_in(path.as_bytes()).is_empty()).unwrap_or(HOME))
        }
        _ => sign_in_for(&page_of(uri.path())),
    }
}

fn sign_in_for(next: &str) -> Redirect {
    let next = own_address(next).filter(|next| *next != HOME && !next.starts_with("/sign-"));
    let query = next.and_then(|next| serde_urlencoded::to_string([("next", next)]).ok());
    match query {
        Some(query) => Redirect::to(&format!("/sign-in?{query}")),
        None => Redirect::to("/sign-in"),
    }
}

/// Returns the address of the page that contains the form which is sent to this path.
fn page_of(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["sign-out"] => HOME.into(),
        ["settings", "password"] => path.into(),
        ["settings", "tokens", uuid, verb @ ("rotate" | "rename" | "narrow" | "delete" | "agent")] => {
            format!("{HOME}?{verb}={uuid}")
        }
        ["settings", "tokens", uuid, "connect"] => format!("{HOME}?settings={uuid}"),
        ["settings", "tokens", uuid, _] => format!("{HOME}/{uuid}"),
        ["admin", kind @ ("people" | "projects"), id, _] => format!("/admin/{kind}/{id}"),
        ["admin", "tokens", project, id, _] => format!("/admin/tokens/{project}/{id}"),
        ["admin", "models", ..] => "/admin/models".into(),
        ["admin", ..] => "/admin".into(),
        _ => HOME.into(),
    }
}

/// Keeps what a person entered into the form of a new token although the session has ended: the
/// redirection to the sign-in page leads back to the form with these values.
pub async fn keep_draft(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let parts: Vec<&str> = request.uri().path().split('/').skip(1).collect();
    let dialog = match (request.method(), &parts[..]) {
        (&Method::POST, ["settings", "tokens"]) => ("new", String::from("1")),
        (&Method::POST, ["settings", "tokens", uuid, "agent"]) => ("agent", (*uuid).to_owned()),
        _ => return next.run(request).await,
    };
    let (mut parts, body) = request.into_parts();
    // The body is read only if there is no session.
    let Err(refused) = SignedIn::from_request_parts(&mut parts, &app).await else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    if !refused.status().is_redirection() {
        return refused;
    }
    match to_bytes(body, MOST_OF_FORM).await {
        Ok(form) => sign_in_for(&draft(dialog, &form, &app.finder)).into_response(),
        // The form is too large or did not arrive.
        Err(_) => refused,
    }
}

/// Returns the address of the list with the dialog, and with the values of the form as its draft.
fn draft((dialog, value): (&str, String), form: &[u8], finder: &Finder) -> String {
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(form).unwrap_or_default();
    let mut kept: Vec<(&str, String)> = Vec::new();
    let project = fields.iter().find(|(name, _)| name == "project").and_then(|(_, id)| id.parse::<i64>().ok());
    kept.extend(project.map(|id| ("project", id.to_string())));
    kept.push((dialog, value));
    let address = |kept: &[(&str, String)]| {
        let query = serde_urlencoded::to_string(kept).unwrap_or_default();
        format!("{HOME}?{query}")
    };
    for (name, value) in &fields {
        let Some((name, longest)) = FIELDS.iter().copied().find(|(known, _)| known == name) else { continue };
        let times = kept.iter().filter(|(known, _)| *known == name).count();
        let most = if name == REPEATED.0 { REPEATED.1 } else { 1 };
        // A person may have pasted a token into a field. An address must not contain it.
        if times >= most || !finder.find_in(value.as_bytes()).is_empty() {
            continue;
        }
        kept.push((name, shortened(name, value, longest)));
        if address(&kept).len() > LONGEST {
            kept.pop();
        }
    }
    address(&kept)
}

/// Returns the first `longest` characters of a field. A list of addresses is cut between two of
/// them, because a network without the end of its length would be another network.
fn shortened(name: &str, value: &str, longest: usize) -> String {
    let Some((end, _)) = value.char_indices().nth(longest) else { return value.into() };
    let start = &value[..end];
    match name {
        "addresses" => start.rsplit_once([' ', ',']).map_or_else(String::new, |(whole, _)| whole.into()),
        _ => start.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_own_addresses() {
        for own in ["/", HOME, "/settings/tokens?new=1&name=a%20b", "/admin/people/2", "/a//b", "/%2f%2fevil.example"] {
            assert_eq!(own_address(own), Some(own));
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        for foreign in [
            "",
            "settings/tokens",
            "https://evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "/a\\b",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " /settings",
            "/a b",
            "/\u{0}",
            "/\u{7f}",
            "/ä",
            "/\u{202e}",
            "javascript:alert(1)",
            "/a\r\nset-cookie: a=b",
            &long,
        ] {
            assert_eq!(own_address(foreign), None, "{foreign:?}");
        }
    }
}
