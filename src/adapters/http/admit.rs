//! The check of a request against the requirements of its route.

use std::sync::Arc;

use super::authenticated::Authenticated;
use super::caller::{Caller, OtherCaller};
use super::checks::ChecksFor;
use super::framework::Framework;
use super::origin::Origin;
use super::outer::Outer;
use super::passed::Passed;
use super::refusal::Refusal;
use super::route::{Project, RouteGuard};
use crate::rules::access::{Access, ProjectRequirement};
use crate::rules::challenge::Challenge;
use crate::rules::check::Verified;
use crate::rules::verify_error::VerifyError;
use crate::tokens::judge::{Step, Unfinished};
use crate::words::credential::HeaderError;
use crate::words::find_credential::FoundCredential;
use crate::words::ids::ProjectId;
use crate::words::rejection::Rejection;

/// The result of the part of a check that does not wait.
pub(crate) enum Admission {
    /// The request may reach the handler.
    Admitted,
    /// The verification must wait for the store or for the owners hook.
    Waits(Waiting),
}

/// A request whose verification must wait. It holds what the guard has read from the request, so
/// that the guard reads it only once. It holds no credential, so the text of a token that may be
/// imported is read again.
pub(crate) struct Waiting {
    unfinished: Unfinished,
    /// The project of the request, or `None` if it is the project of the token.
    project: Option<ProjectId>,
    origin: Origin,
}

impl<F: Framework> RouteGuard<F> {
    /// Checks a request, and attaches the verified caller to it. Adapters for web frameworks call
    /// this function before the handler.
    ///
    /// The checks run in the order of their cost: first the text of the project id, then the
    /// credential, then the token.
    ///
    /// The returned future is `Send` if `F::Request` is `Send`.
    ///
    /// # Errors
    /// Returns the [`Refusal`] to send if the request must not reach the handler.
    pub async fn admit(&self, request: &mut F::Request) -> Result<(), Refusal> {
        match self.admit_held(request)? {
            Admission::Admitted => Ok(()),
            Admission::Waits(waiting) => self.admit_after(waiting, request).await,
        }
    }

    /// Checks a request as [`admit`](Self::admit) does, as far as this needs no waiting. If the
    /// verification must wait, the caller has to await [`admit_after`](Self::admit_after).
    pub(crate) fn admit_held(&self, request: &mut F::Request) -> Result<Admission, Refusal> {
        let project = self.project_of(request)?;
        let origin = self.origin(request);
        let waits = match &project {
            Some(project) => {
                self.held(|tokens| tokens, Access::to(project, &self.route.rule.scopes), origin, request)?
            }
            None => self.held(|tokens| tokens, Access::to_own_project(&self.route.rule.scopes), origin, request)?,
        };
        Ok(match waits {
            Some((unfinished, origin)) => Admission::Waits(Waiting { unfinished, project, origin }),
            None => Admission::Admitted,
        })
    }

    /// Completes the check of a request whose verification must wait.
    pub(crate) async fn admit_after(&self, waiting: Waiting, request: &mut F::Request) -> Result<(), Refusal> {
        let Waiting { unfinished, project, origin } = waiting;
        let scopes = &self.route.rule.scopes;
        match &project {
            Some(project) => {
                self.awaited(|tokens| tokens, unfinished, Access::to(project, scopes), origin, request).await
            }
            None => self.awaited(|tokens| tokens, unfinished, Access::to_own_project(scopes), origin, request).await,
        }
    }

    /// Returns the project of a request, or `None` if it is the project of the token.
    fn project_of(&self, request: &mut F::Request) -> Result<Option<ProjectId>, Refusal> {
        match &self.route.project {
            Project::Path(parameter) => F::path_parameter(request, parameter).project().map(Some),
            Project::Header(name) => in_header::<F>(name, request).map(Some),
            Project::Fixed(project) => Ok(Some(*project)),
            Project::By(project) => project(request).map(Some),
            Project::Own => Ok(None),
        }
    }

    /// Judges a request if this needs no waiting, and attaches the caller. If the verification must
    /// wait, returns what it waits for, and the origin of the request.
    fn held<P: ProjectRequirement + 'static>(
        &self,
        checks: ChecksFor<P>,
        access: Access<'_, P>,
        origin: Origin,
        request: &mut F::Request,
    ) -> Result<Option<(Unfinished, Origin)>, Refusal> {
        let rule = &self.route.rule;
        let credential = match self.credential(request) {
            Err(error) => return Err(rule.challenge(error, &origin)),
            // If a guard outside has verified a token, the request has a credential, in a place
            // that this guard does not read.
            Ok(FoundCredential::Other(other)) if self.passes_on && Outer::of::<F>(request).verified.is_none() => {
                // The text of an `Ok` does not begin like a token, so it would be rejected for
                // that.
                let why = other.map_or_else(Challenge::from, |_| Challenge::from(Rejection::Prefix));
                F::attach(request, Caller::<P>::Other(OtherCaller { rule: Arc::clone(rule), origin, why }));
                return Ok(None);
            }
            Ok(found) => found.judged().map_err(|error| rule.challenge(error, &origin))?,
        };
        let access = origin.locate(access, self.user_agent(request));
        match checks(&*rule.guard.tokens).begin(credential.as_ref(), &access) {
            Step::Done(verified) => self.enter(checks, verified, origin, request).map(|()| None),
            Step::Waits(unfinished) => Ok(Some((unfinished, origin))),
        }
    }

    /// Completes the verification of a request for which [`held`](Self::held) has found that it
    /// must wait. Attaches the caller.
    async fn awaited<P: ProjectRequirement + 'static>(
        &self,
        checks: ChecksFor<P>,
        unfinished: Unfinished,
        access: Access<'_, P>,
        origin: Origin,
        request: &mut F::Request,
    ) -> Result<(), Refusal> {
        let tokens = checks(&*self.route.rule.guard.tokens);
        let verified = match &unfinished {
            Unfinished::Import(_) => {
                let credential = self.credential(request).and_then(FoundCredential::judged);
                let credential = credential.map_err(|error| self.route.rule.challenge(error, &origin))?;
                let access = origin.locate(access, self.user_agent(request));
                tokens.finish(unfinished, credential.as_ref(), access).await
            }
            Unfinished::Ask(_) | Unfinished::Owner(..) => {
                tokens.finish(unfinished, b"", origin.locate(access, self.user_agent(request))).await
            }
        };
        self.enter(checks, verified, origin, request)
    }

    /// Attaches the verified caller to the request, or returns the refusal.
    fn enter<P: ProjectRequirement + 'static>(
        &self,
        checks: ChecksFor<P>,
        verified: Result<Verified<P>, VerifyError>,
        origin: Origin,
        request: &mut F::Request,
    ) -> Result<(), Refusal> {
        let verified = verified.map_err(|error| self.route.rule.refusal(error, &origin))?;
        // Guards that read different places could verify two tokens, or a token beside a session
        // that was accepted because an outer guard found no token. Both have two identities.
        let outer = Outer::of::<F>(request);
        if outer.passed_on || outer.verified.as_ref().is_some_and(|Passed(outer)| outer.key() != verified.key()) {
            return Err(self.route.rule.challenge(HeaderError::Repeated, &origin));
        }
        let origin = Origin { client: self.user_agent(request).map(Arc::from), ..origin };
        let is_inner = outer.verified.is_some();
        let caller = Authenticated::new(verified, checks, Arc::clone(&self.route.rule), origin, outer.verified);
        if is_inner {
            Outer::add::<F>(request, &Passed(Arc::new(caller.clone())));
        }
        // If an outer guard has the same kind of project requirement, this replaces its caller.
        F::attach(request, Caller::Token(caller));
        Ok(())
    }

    fn credential<'r>(&'r self, request: &'r F::Request) -> Result<FoundCredential<'r>, HeaderError> {
        let own = self.route.reading.credential.as_ref().and_then(|credential| credential(request));
        let tokens = &self.route.rule.guard.tokens;
        let values = |name| F::header(request, name);
        self.route.reading.places.find_with(own.map(str::as_bytes), values, |text| tokens.recognizes(text))
    }

    /// Returns the origin of a request, without the `User-Agent`.
    fn origin(&self, request: &mut F::Request) -> Origin {
        let address = match &self.route.reading.address {
            Some(address) => address(request),
            None => F::peer_address(request),
        };
        let resource_metadata = self.route.reading.resource_metadata.as_ref().and_then(|address| address(request));
        Origin { address, client: None, resource_metadata: resource_metadata.map(Arc::from) }
    }

    /// Returns the `User-Agent` of a request if the service records it.
    fn user_agent<'r>(&self, request: &'r F::Request) -> Option<&'r [u8]> {
        if self.route.rule.guard.tokens.records_origins() { F::header(request, "user-agent").next() } else { None }
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
