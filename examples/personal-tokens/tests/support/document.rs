//! Compares the service's HTTP responses with its OpenAPI document.

use axum::http::Method;
use serde_json::{Value, json};

use super::Answer;

/// The `$id` of the JSON schema that [`assert_fits`] builds from a schema of the document.
const WHOLE: &str = "https://personal-tokens.invalid/openapi.json";

/// Checks that the document describes this response: its status, its headers, its content type and
/// the JSON schema of its body.
#[track_caller]
pub fn assert_describes(document: &Value, method: &Method, path: &str, answer: &Answer) {
    let status = answer.status.as_u16();
    let what = format!("{method} {path}: {status} {}", answer.body);
    let described = match operation(document, method, path) {
        Ok(operation) => &operation["responses"][status.to_string()],
        Err((everywhere, expected)) => {
            assert_eq!(status, expected, "not described: {what}");
            &document["components"]["responses"][everywhere]
        }
    };
    let described = resolve(document, described);
    assert!(described.is_object(), "not described: {what}");

    for (name, header) in described["headers"].as_object().into_iter().flatten() {
        let header = resolve(document, header);
        match answer.headers.get(name) {
            Some(value) => assert_fits(document, &header["schema"], &json!(value.to_str().unwrap()), &what),
            None => assert_ne!(header["required"], true, "no header {name}: {what}"),
        }
    }
    match described["content"].as_object() {
        None => assert!(answer.body.is_empty(), "a body that is not described: {what}"),
        Some(content) => {
            let media = content.get(answer.header("content-type"));
            let media = media.unwrap_or_else(|| panic!("type {}: {what}", answer.header("content-type")));
            // The document has schemas only for JSON bodies.
            if media["schema"].is_object() {
                assert_fits(document, &media["schema"], &answer.json(), &what);
            }
        }
    }
}

/// Returns the operation that the document describes for a request.
///
/// # Errors
/// Returns the name and the status of a response that is common to all operations: `NoSuchAddress`
/// if the document does not have the path, and `NoSuchMethod` if the path does not have the method.
fn operation<'d>(document: &'d Value, method: &Method, path: &str) -> Result<&'d Value, (&'static str, u16)> {
    let template = template(document, path).ok_or(("NoSuchAddress", 404))?;
    document["paths"][template].get(method.as_str().to_lowercase()).ok_or(("NoSuchMethod", 405))
}

/// Returns the path template in the document that this path matches, if there is one.
pub fn template<'d>(document: &'d Value, path: &str) -> Option<&'d str> {
    exact_template(document, path).or_else(|| {
        // The document says that these paths are accepted with and without a slash at the end.
        let tokens = path == "/api/v2/auth/token" || path.starts_with("/api/v2/auth/token/");
        let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
        if tokens { exact_template(document, &other) } else { None }
    })
}

fn exact_template<'d>(document: &'d Value, path: &str) -> Option<&'d str> {
    let paths = document["paths"].as_object().unwrap().keys();
    let fitting = paths.filter(|template| fits_template(template, path)).map(String::as_str);
    // A template without a variable is preferred to a template with one, as in the router.
    fitting.min_by_key(|template| template.contains('{'))
}

/// Returns whether the path matches the template. A segment that begins with `{` is a variable.
fn fits_template(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(template, segment)| {
            if template.starts_with('{') { !segment.is_empty() } else { *template == segment }
        })
}

/// Returns the value to which a `$ref` points, or the value itself if it is not a `$ref`.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(pointer) => document.pointer(pointer.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// Checks that a JSON value is valid for a schema. The schema may refer to other schemas of the
/// document.
#[track_caller]
pub fn assert_fits(document: &Value, schema: &Value, value: &Value, what: &str) {
    let whole = json!({"$id": WHOLE, "components": document["components"], "allOf": [schema]});
    let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
    let flaws: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(flaws.is_empty(), "{what}\n{}", flaws.join("\n"));
}
