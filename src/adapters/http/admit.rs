//! The check of a request against the requirements of its route.

use std::sync::Arc;

use super::authenticated::Authenticated;
use super::caller::{Caller, OtherCaller};
use super::checks::Check;
use super::framework::Framework;
use super::origin::Origin;
use super::refusal::Refusal;
use super::route::{Project, RouteGuard};
use crate::rules::access::{Access, InProject, OwnProject, ProjectRequirement};
use crate::rules::challenge::Challenge;
use crate::words::credential::HeaderError;
use crate::words::find_credential::FoundCredential;
use crate::words::ids::ProjectId;
use crate::words::rejection::Rejection;

/// The mark of a request that a guard has passed on to another authentication.
#[derive(Clone)]
struct PassedOn;

impl<F: Framework> RouteGuard<F> {
    /// Checks a request, and attaches the verified caller to it. Adapters for web frameworks call
    /// this function before the handler.
    ///
    /// The checks run in the order of their cost: first the text of the project id, then the
    /// credential, then the token.
    ///
    /// The returned future is `Send` if `F::Request` and the future of
    /// [`path_parameter`](Framework::path_parameter) are `Send`.
    ///
    /// # Errors
    /// Returns the [`Refusal`] to send if the request must not reach the handler.
    pub async fn admit(&self, request: &mut F::Request) -> Result<(), Refusal> {
        let project = match &self.project {
            Project::Path(parameter) => F::path_parameter(request, parameter).await.project()?,
            Project::Header(name) => in_header::<F>(name, request)?,
            Project::Fixed(project) => *project,
            Project::By(project) => project(request)?,
            Project::Own => {
                let tokens: Arc<dyn Check<OwnProject>> = Arc::clone(&self.rule.guard.tokens) as _;
                return self.verify(tokens, Access::to_own_project(&self.rule.scopes), request).await;
            }
        };
        let tokens: Arc<dyn Check<InProject>> = Arc::clone(&self.rule.guard.tokens) as _;
        self.verify(tokens, Access::to(&project, &self.rule.scopes), request).await
    }

    async fn verify<P: ProjectRequirement + 'static>(
        &self,
        tokens: Arc<dyn Check<P>>,
        access: Access<'_, P>,
        request: &mut F::Request,
    ) -> Result<(), Refusal> {
        let rule = &self.rule;
        let origin = self.origin(request);
        let credential = match self.credential(request) {
            Err(error) => return Err(rule.challenge(error, &origin)),
            // If a guard outside has verified a token, the request has a credential, in a place
            // that this guard does not read.
            Ok(FoundCredential::Other(other))
                if self.passes_on && Authenticated::<P>::outer::<F>(request).is_none() =>
            {
                // The text of an `Ok` does not begin like a token, so it would be rejected for
                // that.
                let why = other.map_or_else(Challenge::from, |_| Challenge::from(Rejection::Prefix));
                let other = OtherCaller { rule: Arc::clone(rule), origin, why };
                F::attach(request, Caller::<P>::Other(other));
                F::attach(request, PassedOn);
                return Ok(());
            }
            Ok(found) => found.judged().map_err(|error| rule.challenge(error, &origin))?,
        };
        let verified = tokens.verify(credential.as_ref(), origin.locate(access)).await;
        let verified = verified.map_err(|error| rule.refusal(error, &origin))?;
        // Guards that read different places could verify two tokens, or a token beside a session
        // that was accepted because an outer guard found no token. Both have two identities.
        let is_other = |outer| outer != verified.key();
        if Authenticated::<P>::outer::<F>(request).is_some_and(is_other) || F::attached::<PassedOn>(request).is_some() {
            return Err(rule.challenge(HeaderError::Repeated, &origin));
        }
        let caller = Authenticated::entered::<F>(verified, tokens, Arc::clone(rule), origin, request);
        F::attach(request, Caller::Token(caller));
        Ok(())
    }

    fn credential<'r>(&'r self, request: &'r F::Request) -> Result<FoundCredential<'r>, HeaderError> {
        let own = self.reading.credential.as_ref().and_then(|credential| credential(request));
        let tokens = &self.rule.guard.tokens;
        let values = |name| F::header(request, name);
        self.reading.places.find_with(own.map(str::as_bytes), values, |text| tokens.recognizes(text))
    }

    fn origin(&self, request: &F::Request) -> Origin {
        let address = match &self.reading.address {
            Some(address) => address(request),
            None => F::peer_address(request),
        };
        let client = F::header(request, "user-agent").next().map(Arc::from);
        let resource_metadata = self.reading.resource_metadata.as_ref().and_then(|address| address(request));
        Origin { address, client, resource_metadata: resource_metadata.map(Arc::from) }
    }
}

fn in_header<F: Framework>(name: &str, request: &F::Request) -> Result<ProjectId, Refusal> {
    let mut values = F::header(request, name);
    let project = match (values.next(), values.next()) {
        (Some(value), None) => core::str::from_utf8(value).ok().and_then(|text| ProjectId::new(text).ok()),
        _ => None,
    };
    project.ok_or_else(|| {
        let detail = format!("the request needs one header {name} with the id of a project");
        Refusal::new(400_u16, "invalid_project", detail)
    })
}
