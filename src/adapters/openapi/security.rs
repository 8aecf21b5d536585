//! The security schemes of OpenAPI that describe how a request presents a token.

use core::fmt;

use utoipa::Modify;
use utoipa::openapi::schema::{Components, ComponentsBuilder};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};

use crate::adapters::http::framework::Framework;
use crate::adapters::http::guard::Guard;
use crate::adapters::http::refusal::Refusal;
use crate::adapters::http::route::RouteGuard;
use crate::rules::scope::Scope;
use crate::words::ids::Prefix;
use crate::words::places::CredentialPlaces;

/// The security schemes of OpenAPI for the places in which a request may present a token. As a
/// [`Modify`], it adds the schemes and the schema of a [`Refusal`] to the components of a document.
///
/// | a request presents the token | name of the scheme | type |
/// |---|---|---|
/// | as `Authorization: Bearer TOKEN` | `token` | `http`, `bearer`, with the prefix of the tokens as the format |
/// | with the scheme Basic, if you add it | `token_basic` | `http`, `basic` |
/// | as `Authorization: NAME TOKEN` | `token_scheme_NAME` | `apiKey` in the header `Authorization` |
/// | as `Authorization: TOKEN` | `token_bare` | `apiKey` in the header `Authorization` |
/// | in the header `NAME` | `token_header_NAME` | `apiKey` in this header |
///
/// `NAME` is in lower case. Characters that OpenAPI does not allow in the name of a scheme are
/// replaced by `_`.
#[derive(Clone)]
pub struct TokenSecurity {
    /// The names of the schemes with the schemes.
    schemes: Vec<(String, SecurityScheme)>,
}

impl TokenSecurity {
    /// The name of the scheme for `Authorization: Bearer`.
    pub const BEARER: &str = "token";
    /// The name of the scheme for `Authorization: Basic`.
    pub const BASIC: &str = "token_basic";

    /// Creates the schemes for the [places](Guard::with_places) of a guard. The scheme for Basic is
    /// one of them if refusals [ask for Basic](Guard::with_basic_challenge).
    ///
    /// A place that your service reads itself ([`Guard::with_credential`]) has no scheme, because
    /// the guard does not know where it is. Add the scheme of such a place to the document
    /// yourself, and its requirement to the [requirements](Self::requirements).
    pub fn of<F: Framework>(guard: &Guard<F>) -> Self {
        let (prefix, places, asks_for_basic) = guard.presentation();
        let security = Self::new(&prefix, places);
        if asks_for_basic { security.with_basic() } else { security }
    }

    /// Creates the schemes for these places, without the scheme for Basic.
    pub fn new(prefix: &Prefix, places: &CredentialPlaces) -> Self {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format(prefix.as_str());
        let bearer = bearer.description(Some(format!("A token, which begins with `{prefix}_`."))).build();
        let mut security = Self { schemes: vec![(Self::BEARER.to_owned(), SecurityScheme::Http(bearer))] };
        // Bearer is the first scheme, and Authorization is the first header.
        for scheme in places.schemes().skip(1) {
            let description = format!("The word `{scheme}`, a space, and the token.");
            security.add_header(named("token_scheme_", scheme), "Authorization", &description);
        }
        if places.has_bare_token() {
            security.add_header("token_bare".to_owned(), "Authorization", "The token, without a scheme.");
        }
        for header in places.headers().skip(1) {
            security.add_header(named("token_header_", header), header, "The token.");
        }
        security
    }

    /// Adds the scheme for Basic, unless it is present. A guard always accepts Basic, so use this
    /// method to show it to the readers of the document.
    #[must_use]
    pub fn with_basic(mut self) -> Self {
        if self.schemes.iter().any(|(name, _)| name == Self::BASIC) {
            return self;
        }
        let description = "The token is the user name or the password. The other part is ignored.";
        let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some(description)).build();
        self.schemes.insert(1, (Self::BASIC.to_owned(), SecurityScheme::Http(basic)));
        self
    }

    /// Returns the security requirements of a guarded route: one for each scheme, with the scopes
    /// that the guard requires. A request must meet one of them. They are the value of the field
    /// `security` of an operation.
    ///
    /// For a guard that [passes requests on](RouteGuard::or_other), add the requirement of your
    /// other authentication.
    pub fn requirements<F: Framework>(&self, route: &RouteGuard<F>) -> Vec<SecurityRequirement> {
        let scopes = || route.scopes().iter().map(Scope::as_str);
        self.schemes.iter().map(|(name, _)| SecurityRequirement::new(name, scopes())).collect()
    }

    fn add_header(&mut self, name: String, header: &str, description: &str) {
        let value = ApiKeyValue::with_description(header, description);
        self.schemes.push((name, SecurityScheme::ApiKey(ApiKey::Header(value))));
    }
}

/// Returns the name of the scheme for a place, with the characters that OpenAPI allows in the name
/// of a component.
fn named(kind: &str, place: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    kind.chars().chain(place.chars().map(allowed)).collect()
}

impl Modify for TokenSecurity {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_schemes_from_iter(self.schemes.clone());
        let with_refusal = ComponentsBuilder::from(core::mem::take(components)).schema_from::<Refusal>();
        *components = with_refusal.build();
    }
}

impl fmt::Debug for TokenSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.schemes.iter().map(|(name, _)| name)).finish()
    }
}
