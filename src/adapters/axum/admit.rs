//! The check of a request against the requirements of its route.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams};
use axum::http::header::{AUTHORIZATION, Entry, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::authenticated::Authenticated;
use super::checks::Check;
use super::origin::Origin;
use super::refusal::Refusal;
use super::rule::{Project, Rule};
use crate::rules::access::{Access, InProject, OwnProject, ProjectRequirement};
use crate::words::credential::{Credential, HeaderError};
use crate::words::ids::ProjectId;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

impl Rule {
    /// Checks a request, and puts the verified caller into the extensions of the request.
    ///
    /// The checks run in the order of their cost: first the text of the project id, then the
    /// credential, then the token.
    pub(super) async fn admit(self: Arc<Self>, parts: &mut Parts) -> Result<(), Refusal> {
        hide(&mut parts.headers);
        let project = match &self.project {
            Project::Path(parameter) => in_path(parameter, parts).await?,
            Project::Header(name) => in_header(name, &parts.headers)?,
            Project::Fixed(project) => *project,
            Project::Own => {
                let tokens: Arc<dyn Check<OwnProject>> = Arc::clone(&self.guard.tokens) as _;
                return self.verify(tokens, Access::to_own_project(&self.scopes), parts).await;
            }
        };
        let tokens: Arc<dyn Check<InProject>> = Arc::clone(&self.guard.tokens) as _;
        self.verify(tokens, Access::to(&project, &self.scopes), parts).await
    }

    async fn verify<P: ProjectRequirement + 'static>(
        self: &Arc<Self>,
        tokens: Arc<dyn Check<P>>,
        access: Access<'_, P>,
        parts: &mut Parts,
    ) -> Result<(), Refusal> {
        let origin = self.origin(parts).await;
        let credential = self.credential(&parts.headers);
        let credential = credential.map_err(|error| self.challenge(error, &origin))?;
        let verified = tokens.verify(credential.as_ref(), origin.locate(access)).await;
        let verified = verified.map_err(|error| self.refusal(error, &origin))?;
        Authenticated::admit(verified, tokens, Arc::clone(self), origin, &mut parts.extensions);
        Ok(())
    }

    fn credential<'h>(&self, headers: &'h HeaderMap) -> Result<Credential<'h>, HeaderError> {
        let authorization = headers.get_all(AUTHORIZATION);
        match self.guard.api_key {
            true => Credential::from_authorization_or_api_key(authorization, headers.get_all(API_KEY)),
            false => Credential::from_authorization(authorization),
        }
    }

    async fn origin(&self, parts: &mut Parts) -> Origin {
        let address = self.address(parts).await;
        let client = parts.headers.get(USER_AGENT).cloned();
        let resource_metadata = self.guard.resource_metadata.as_ref().and_then(|address| address(parts));
        Origin { address, client, resource_metadata: resource_metadata.map(Arc::from) }
    }

    async fn address(&self, parts: &mut Parts) -> Option<IpAddr> {
        if let Some(address) = &self.guard.address {
            return address(parts);
        }
        let connection = ConnectInfo::<SocketAddr>::from_request_parts(parts, &()).await;
        connection.ok().map(|ConnectInfo(address)| address.ip())
    }
}

/// Marks the headers that may contain a credential as sensitive, so that Debug output does not show
/// their values.
fn hide(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, API_KEY] {
        if let Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

async fn in_path(parameter: &str, parts: &mut Parts) -> Result<ProjectId, Refusal> {
    const NO_PROJECT: Refusal = Refusal::fixed(StatusCode::NOT_FOUND, "not_found", "there is no such project");
    const NO_PARAMETER: Refusal = Refusal::fixed(
        StatusCode::INTERNAL_SERVER_ERROR,
        "misplaced_guard",
        "the path of the guarded route needs exactly one parameter for the project",
    );
    let parameters = RawPathParams::from_request_parts(parts, &()).await.map_err(|error| match error {
        RawPathParamsRejection::InvalidUtf8InPathParam(_) => NO_PROJECT,
        _ => NO_PARAMETER,
    })?;
    let mut values = parameters.iter().filter(|(name, _)| *name == parameter);
    // If two parameters had this name, the handler might read the one that the guard did not check.
    match (values.next(), values.next()) {
        (Some((_, value)), None) => ProjectId::new(value).map_err(|_| NO_PROJECT),
        _ => Err(NO_PARAMETER),
    }
}

fn in_header(name: &HeaderName, headers: &HeaderMap) -> Result<ProjectId, Refusal> {
    let mut values = headers.get_all(name).iter();
    let project = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().and_then(|text| ProjectId::new(text).ok()),
        _ => None,
    };
    project.ok_or_else(|| {
        let detail = format!("the request needs one header {name} with the id of a project");
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_project", detail)
    })
}
