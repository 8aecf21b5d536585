//! The access that a request needs.

use core::fmt;
use core::net::IpAddr;

use super::scope::Scope;
use crate::words::ids::ProjectId;
use crate::words::used_from::{ClientText, UsedFrom};

/// The access that a request needs: a project and scopes. An `Access` can also hold the address and
/// the `User-Agent` of the client.
///
/// Every verification takes an `Access`. So no code can read the owner of a token without stating
/// the project and the scopes that it needs. If a request needs no scope, pass `&[]`.
///
/// ```
/// use keyfob::{Access, ProjectId, Scope};
///
/// let project = ProjectId::new("145")?;
/// let scopes = [Scope::new("repo:read")?];
/// let access = Access::to(&project, &scopes).from_address("192.0.2.7".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The owner of a token is available only after a verification with an `Access`:
/// ```
/// # use keyfob::{Access, MemoryStore, OwnerId, ProjectId, Tokens, VerifyError};
/// async fn owner(
///     tokens: &Tokens<MemoryStore>, token: &str, project: &ProjectId,
/// ) -> Result<OwnerId, VerifyError> {
///     Ok(tokens.verify(token, &Access::to(project, &[])).await?.owner().clone())
/// }
/// ```
///
/// The same function without an `Access` does not compile:
/// ```compile_fail,E0061
/// # use keyfob::{Access, MemoryStore, OwnerId, ProjectId, Tokens, VerifyError};
/// async fn owner(
///     tokens: &Tokens<MemoryStore>, token: &str, project: &ProjectId,
/// ) -> Result<OwnerId, VerifyError> {
///     Ok(tokens.verify(token).await?.owner().clone())
/// }
/// ```
///
/// A `PresentedToken` was parsed but not verified. It has no `owner` method, so this does not
/// compile either:
/// ```compile_fail,E0599
/// # use keyfob::{Keyring, OwnerId, PresentedToken, Rejection};
/// fn owner(keyring: &Keyring, token: &str) -> Result<OwnerId, Rejection> {
///     Ok(PresentedToken::parse(token, keyring)?.owner().clone())
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Access<'a, P = InProject> {
    project: P,
    scopes: &'a [Scope],
    address: Option<IpAddr>,
    client: Option<&'a [u8]>,
}

/// A requirement that a request makes on the project of a token. Only [`InProject`] and
/// [`OwnProject`] implement this trait.
pub trait ProjectRequirement: Copy + fmt::Debug + Send + Sync + sealed::Sealed {}

/// The requirement that a token is for one specific project.
#[derive(Clone, Copy, Debug)]
pub struct InProject(ProjectId);

/// The requirement of a request that concerns only the token itself, such as `whoami`. A token for
/// any project meets this requirement.
#[derive(Clone, Copy, Debug)]
pub struct OwnProject(());

impl ProjectRequirement for InProject {}

impl sealed::Sealed for InProject {
    fn accepts(&self, project: &ProjectId) -> bool {
        self.0 == *project
    }
}

impl ProjectRequirement for OwnProject {}

impl sealed::Sealed for OwnProject {
    fn accepts(&self, _project: &ProjectId) -> bool {
        true
    }
}

mod sealed {
    pub trait Sealed {
        fn accepts(&self, project: &crate::words::ids::ProjectId) -> bool;
    }
}

impl<'a> Access<'a, InProject> {
    /// Creates the access for a request in this project. A verification accepts only tokens that
    /// are for this project and grant all of these scopes.
    pub fn to(project: &ProjectId, scopes: &'a [Scope]) -> Self {
        Self { project: InProject(*project), scopes, address: None, client: None }
    }
}

impl<'a> Access<'a, OwnProject> {
    /// Creates the access for a request that concerns only the token's own project, whichever
    /// project that is. A verification accepts only tokens that grant all of these scopes.
    ///
    /// The verification then returns a `Verified<OwnProject>`. A function for a specific project
    /// takes a plain `Verified`, which means `Verified<InProject>`, and therefore does not accept
    /// this result.
    pub fn to_own_project(scopes: &'a [Scope]) -> Self {
        Self { project: OwnProject(()), scopes, address: None, client: None }
    }
}

impl<'a, P: ProjectRequirement> Access<'a, P> {
    /// Sets the address of the client. If your service runs behind a proxy, do not pass the address
    /// of the proxy. If no address is set, a token that is limited to certain addresses is
    /// rejected.
    #[must_use]
    pub fn from_address(self, address: IpAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// Sets the text of the client's `User-Agent` header. The text does not affect whether a token
    /// is accepted. If [`Usage::with_origins`](crate::tokens::Usage::with_origins) is set, the
    /// service records the text together with the last use of the token.
    #[must_use]
    pub fn by_client(self, user_agent: &'a [u8]) -> Self {
        Self { client: Some(user_agent), ..self }
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns the origin of the request: the address and the `User-Agent` of the client, if they
    /// are set.
    pub(crate) fn used_from(&self) -> UsedFrom {
        UsedFrom { address: self.address, client: self.client.and_then(ClientText::of_header) }
    }

    pub(crate) fn accepts_project(&self, project: &ProjectId) -> bool {
        self.project.accepts(project)
    }

    pub(crate) fn scopes(&self) -> &[Scope] {
        self.scopes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::project;

    #[test]
    fn only_the_named_project_is_accepted() {
        let access = Access::to(&project(), &[]);
        assert!(access.accepts_project(&project()));
        assert!(!access.accepts_project(&ProjectId::new("146").unwrap()));
    }

    #[test]
    fn any_project_is_a_tokens_own() {
        let access = Access::to_own_project(&[]);
        assert!(access.accepts_project(&project()));
        assert!(access.accepts_project(&ProjectId::new("146").unwrap()));
    }

    #[test]
    fn scopes_and_address_are_as_they_were_named() {
        let scopes = [Scope::new("repo:read").unwrap(), Scope::new("user").unwrap()];
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let access = Access::to(&project(), &scopes);
        assert_eq!((access.scopes(), access.address()), (&scopes[..], None));
        assert_eq!(access.from_address(address).address(), Some(address));
        let own = Access::to_own_project(&scopes);
        assert_eq!((own.scopes(), own.address()), (&scopes[..], None));
        assert_eq!(own.from_address(address).scopes(), scopes);
    }
}
