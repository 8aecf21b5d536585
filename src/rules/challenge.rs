//! The responses to rejected tokens, as RFC 6750 section 3 defines them.

use super::scope::Scope;
use crate::words::credential::HeaderError;
use crate::words::rejection::Rejection;

/// The response to a request whose token was rejected or could not be checked: an HTTP status, a
/// `WWW-Authenticate` value, and text for a problem document (RFC 9457).
///
/// A client that presents a wrong or unknown token learns only that the token is not valid. A
/// client that presents the complete, correct text of a token learns why the service rejected the
/// token.
///
/// | cause | status | error |
/// |---|---|---|
/// | no credentials, another scheme | 401 | none, as RFC 6750 section 3.1 advises |
/// | more than one credential, unreadable header | 400 | `invalid_request` |
/// | malformed, forged, unknown | 401 | `invalid_token` |
/// | revoked, rotated, lapsed, expired, disabled, pending, not yet valid, issuer ended, outside policy, owner suspended | 401 | `invalid_token` |
/// | another project, address or scope, owner outside the project | 403 | `insufficient_scope` |
/// | the store or the owner hook failed | 503 | none |
///
/// ```
/// use keyfob::{Challenge, Rejection};
///
/// let challenge = Challenge::from(Rejection::Expired);
/// assert_eq!(challenge.status(), 401);
/// let value = challenge.www_authenticate("acme").unwrap();
/// assert!(value.starts_with(r#"Bearer realm="acme", error="invalid_token", "#));
/// assert!(value.ends_with(r#"error_description="the token has expired""#));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Challenge {
    status: u16,
    error: Option<&'static str>,
    reason: &'static str,
    description: &'static str,
}

impl Challenge {
    /// The response to a request whose token could not be checked, because the store or the hook
    /// for the state of owners failed. Its status is 503.
    pub const UNAVAILABLE: Self = Self {
        status: 503,
        error: None,
        reason: "unavailable",
        description: "the token cannot be checked at the moment",
    };

    /// Returns the HTTP status code of the response.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the error code of RFC 6750 section 3.1, if the response has one.
    pub const fn error(&self) -> Option<&'static str> {
        self.error
    }

    /// Returns the reason for the response as a stable word for programs, such as `invalid_token`,
    /// `expired`, `revoked` or `wrong_project`.
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Returns the reason for the response as a text for people, such as `the token has expired`.
    pub const fn description(&self) -> &'static str {
        self.description
    }

    /// Returns the value of the `WWW-Authenticate` header. Returns `None` if the status is 503,
    /// because such a response needs no challenge. Leaves out characters of `realm` that are not
    /// printable ASCII.
    pub fn www_authenticate(&self, realm: &str) -> Option<String> {
        self.www_authenticate_with_scopes(realm, &[])
    }

    /// Returns the value of the `WWW-Authenticate` header for a request that needs these scopes.
    /// The value names the scopes if the status is 401, or if the token was rejected because it
    /// lacks a scope. Otherwise, this method returns the same value as
    /// [`www_authenticate`](Self::www_authenticate).
    pub fn www_authenticate_with_scopes(&self, realm: &str, scopes: &[Scope]) -> Option<String> {
        self.www_authenticate_for(realm, scopes, None)
    }

    /// Returns the value of the `WWW-Authenticate` header for a request that needs these scopes,
    /// with the URL of the resource's metadata (RFC 9728 section 5.1).
    ///
    /// The value includes the URL if the status is 401 or 403. Characters of the URL that are not
    /// printable ASCII are left out. The value names the scopes under the same conditions as in
    /// [`www_authenticate_with_scopes`](Self::www_authenticate_with_scopes).
    ///
    /// ```
    /// use keyfob::{Challenge, Scope, error::HeaderError};
    ///
    /// let scopes = [Scope::new("repo:read")?];
    /// let metadata = "https://acme.example/.well-known/oauth-protected-resource";
    /// let value = Challenge::from(HeaderError::Missing)
    ///     .www_authenticate_for("acme", &scopes, Some(metadata))
    ///     .expect("the status is 401");
    /// let named = format!(r#"scope="repo:read", resource_metadata="{metadata}""#);
    /// assert_eq!(value, format!(r#"Bearer realm="acme", {named}"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn www_authenticate_for(
        &self,
        realm: &str,
        scopes: &[Scope],
        resource_metadata: Option<&str>,
    ) -> Option<String> {
        if self.status == 503 {
            return None;
        }
        let mut value = String::from("Bearer realm=");
        push_quoted(&mut value, realm);
        if let Some(error) = self.error {
            value.extend([", error=\"", error, "\", error_description=\"", self.description, "\""]);
        }
        if (self.status == 401 || self.reason == INSUFFICIENT_SCOPE) && !scopes.is_empty() {
            let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
            value.extend([", scope=\"", &scopes.join(" "), "\""]);
        }
        if let Some(metadata) = resource_metadata.filter(|_| matches!(self.status, 401 | 403)) {
            value.push_str(", resource_metadata=");
            push_quoted(&mut value, metadata);
        }
        Some(value)
    }
}

/// Returns the `WWW-Authenticate` value that asks for a user name and a password (RFC 7617). Leaves
/// out characters of `realm` that are not printable ASCII.
pub(crate) fn basic_challenge(realm: &str) -> String {
    let mut value = String::from("Basic realm=");
    push_quoted(&mut value, realm);
    value + ", charset=\"UTF-8\""
}

/// Appends the printable ASCII characters of `text` to `value`, as a quoted string (RFC 9110
/// section 5.6.4).
fn push_quoted(value: &mut String, text: &str) {
    value.push('"');
    for character in text.chars().filter(|c| matches!(c, ' '..='~')) {
        if matches!(character, '"' | '\\') {
            value.push('\\');
        }
        value.push(character);
    }
    value.push('"');
}

const INSUFFICIENT_SCOPE: &str = "insufficient_scope";

impl From<Rejection> for Challenge {
    fn from(rejection: Rejection) -> Self {
        let (reason, description) = match rejection {
            Rejection::Length
            | Rejection::NotAscii
            | Rejection::Prefix
            | Rejection::Shape
            | Rejection::Checksum
            | Rejection::Unkeyed
            | Rejection::UnknownKey
            | Rejection::Tag
            | Rejection::Unknown
            | Rejection::Digest => ("invalid_token", "the token is not valid"),
            Rejection::Revoked => ("revoked", "the token was revoked"),
            Rejection::Expired => ("expired", "the token has expired"),
            Rejection::Rotated => ("rotated", "the token was rotated and its grace period has ended"),
            Rejection::Lapsed => ("lapsed", "the token was not confirmed in time"),
            Rejection::Disabled => ("disabled", "the token is disabled"),
            Rejection::Pending => ("pending", "the token is not confirmed yet"),
            Rejection::NotYetValid => ("not_yet_valid", "the token is not valid yet"),
            Rejection::Policy => ("policy", "the token is outside the current policy of the service"),
            Rejection::IssuerEnded => ("issuer_ended", "the token that issued this one does not work any more"),
            Rejection::OwnerSuspended => ("owner_suspended", "the token's owner is suspended"),
            Rejection::OwnerOutsideProject => {
                ("owner_outside_project", "the token's owner is not in the project any more")
            }
            Rejection::Project => ("wrong_project", "the token is for another project"),
            Rejection::Address => ("wrong_address", "the token may not be used from this address"),
            Rejection::Scope => (INSUFFICIENT_SCOPE, "the token lacks a scope that the request needs"),
        };
        let (status, error) = match rejection {
            Rejection::OwnerOutsideProject | Rejection::Project | Rejection::Address | Rejection::Scope => {
                (403, INSUFFICIENT_SCOPE)
            }
            _ => (401, "invalid_token"),
        };
        Self { status, error: Some(error), reason, description }
    }
}

impl From<HeaderError> for Challenge {
    fn from(error: HeaderError) -> Self {
        let (status, error, reason, description) = match error {
            HeaderError::Missing => (401, None, "missing_token", "the request needs a token"),
            HeaderError::Scheme => (401, None, "wrong_scheme", "the request needs a token as Bearer or Basic"),
            HeaderError::Repeated => {
                (400, Some("invalid_request"), "repeated_token", "the request has more than one credential")
            }
            HeaderError::Malformed => {
                (400, Some("invalid_request"), "malformed_header", "the authorization header cannot be read")
            }
        };
        Self { status, error, reason, description }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_proof_all_challenges_are_the_same() {
        let invalid = Challenge::from(Rejection::Unknown);
        for rejection in [
            Rejection::Length,
            Rejection::NotAscii,
            Rejection::Prefix,
            Rejection::Shape,
            Rejection::Checksum,
            Rejection::Unkeyed,
            Rejection::UnknownKey,
            Rejection::Tag,
            Rejection::Digest,
        ] {
            assert!(!rejection.is_after_proof());
            assert_eq!(Challenge::from(rejection), invalid);
        }
        assert_eq!((invalid.status(), invalid.error()), (401, Some("invalid_token")));
    }

    #[test]
    fn after_proof_each_rejection_has_its_own_reason() {
        let mut reasons = std::collections::BTreeSet::new();
        for (rejection, status) in [
            (Rejection::Revoked, 401),
            (Rejection::Expired, 401),
            (Rejection::Rotated, 401),
            (Rejection::Lapsed, 401),
            (Rejection::Disabled, 401),
            (Rejection::Pending, 401),
            (Rejection::NotYetValid, 401),
            (Rejection::Policy, 401),
            (Rejection::IssuerEnded, 401),
            (Rejection::OwnerSuspended, 401),
            (Rejection::OwnerOutsideProject, 403),
            (Rejection::Project, 403),
            (Rejection::Address, 403),
            (Rejection::Scope, 403),
        ] {
            assert!(rejection.is_after_proof());
            let challenge = Challenge::from(rejection);
            assert_eq!(challenge.status(), status, "{rejection}");
            assert!(reasons.insert(challenge.reason()), "{rejection}");
        }
    }

    #[test]
    fn a_challenge_for_missing_credentials_has_no_error() {
        let challenge = Challenge::from(HeaderError::Missing);
        assert_eq!(challenge.status(), 401);
        assert_eq!(challenge.www_authenticate("a\"b\\c\nd").unwrap(), r#"Bearer realm="a\"b\\cd""#);
        assert_eq!(Challenge::from(HeaderError::Repeated).status(), 400);
    }

    #[test]
    fn a_missing_scope_is_named() {
        let scopes = [Scope::new("repo:read").unwrap(), Scope::new("user").unwrap()];
        let named = |rejection| Challenge::from(rejection).www_authenticate_with_scopes("acme", &scopes).unwrap();
        assert!(named(Rejection::Scope).ends_with(r#", scope="repo:read user""#));
        assert!(!named(Rejection::Project).contains("scope=\"repo"));
    }

    #[test]
    fn every_401_names_the_scopes_that_the_request_needs() {
        let scopes = [Scope::new("repo:read").unwrap()];
        let named = |challenge: Challenge, scopes: &[Scope]| {
            challenge.www_authenticate_with_scopes("acme", scopes).unwrap().contains("scope=\"repo")
        };
        let of_headers = [HeaderError::Missing, HeaderError::Scheme, HeaderError::Repeated, HeaderError::Malformed];
        let challenges = of_headers.map(Challenge::from).into_iter();
        for challenge in challenges.chain(Rejection::ALL.iter().map(|rejection| Challenge::from(*rejection))) {
            let expected = challenge.status() == 401 || challenge.reason() == INSUFFICIENT_SCOPE;
            assert_eq!(named(challenge, &scopes), expected, "{challenge:?}");
            assert!(!named(challenge, &[]), "{challenge:?}");
        }
    }

    #[test]
    fn a_401_and_a_403_name_the_metadata() {
        let metadata = |challenge: Challenge, text| challenge.www_authenticate_for("acme", &[], text).unwrap();
        let missing = Challenge::from(HeaderError::Missing);
        assert_eq!(metadata(missing, Some("https://a/b")), r#"Bearer realm="acme", resource_metadata="https://a/b""#);
        assert_eq!(metadata(missing, Some("\"\\é\r\n")), r#"Bearer realm="acme", resource_metadata="\"\\""#);
        assert_eq!(metadata(missing, None), r#"Bearer realm="acme""#);
        assert!(metadata(Rejection::Project.into(), Some("https://a")).ends_with(r#", resource_metadata="https://a""#));
        assert!(!metadata(HeaderError::Repeated.into(), Some("https://a")).contains("resource_metadata"));
        assert_eq!(Challenge::UNAVAILABLE.www_authenticate_for("acme", &[], Some("https://a")), None);
    }

    #[test]
    fn a_failed_store_sends_no_challenge() {
        assert_eq!(Challenge::UNAVAILABLE.status(), 503);
        assert_eq!(Challenge::UNAVAILABLE.www_authenticate("acme"), None);
    }

    #[test]
    fn a_realm_is_reduced_to_printable_ascii() {
        let realm = |text: &str| Challenge::from(HeaderError::Missing).www_authenticate(text).unwrap();
        assert_eq!(realm(" ~"), r#"Bearer realm=" ~""#);
        assert_eq!(realm("\u{1f}\u{7f}é"), r#"Bearer realm="""#);
    }

    #[test]
    fn each_fault_of_a_header_has_its_status_and_error() {
        for (fault, status, error, reason) in [
            (HeaderError::Missing, 401, None, "missing_token"),
            (HeaderError::Scheme, 401, None, "wrong_scheme"),
            (HeaderError::Repeated, 400, Some("invalid_request"), "repeated_token"),
            (HeaderError::Malformed, 400, Some("invalid_request"), "malformed_header"),
        ] {
            let challenge = Challenge::from(fault);
            assert_eq!((challenge.status(), challenge.error(), challenge.reason()), (status, error, reason));
        }
    }

    #[test]
    fn a_missing_scope_is_insufficient_and_an_ended_token_invalid() {
        let scope = Challenge::from(Rejection::Scope);
        assert_eq!(
            (scope.status(), scope.error(), scope.reason()),
            (403, Some("insufficient_scope"), "insufficient_scope")
        );
        let expired = Challenge::from(Rejection::Expired);
        assert_eq!((expired.error(), expired.reason()), (Some("invalid_token"), "expired"));
        assert_eq!(expired.description(), "the token has expired");
        let value = scope.www_authenticate("acme").unwrap();
        let description = scope.description();
        assert_eq!(
            value,
            format!(r#"Bearer realm="acme", error="insufficient_scope", error_description="{description}""#)
        );
    }
}
