//! What a request needs of a token.

use core::fmt;
use core::net::IpAddr;

use super::scope::Scope;
use crate::words::ids::ProjectId;
use crate::words::used_from::{ClientText, UsedFrom};

/// What a request needs: a project, scopes, and where it comes from.
///
/// Both project and scopes must be named; there is no way to a token's owner without them. A request that needs no scope
/// says so with `&[]`.
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
/// A handler that names none has no owner to act for:
/// ```
/// # use keyfob::{Access, MemoryStore, OwnerId, ProjectId, Tokens, VerifyError};
/// async fn owner(tokens: &Tokens<MemoryStore>, token: &str, project: &ProjectId) -> Result<OwnerId, VerifyError> {
///     Ok(tokens.verify(token, &Access::to(project, &[])).await?.owner().clone())
/// }
/// ```
/// ```compile_fail,E0061
/// # use keyfob::{Access, MemoryStore, OwnerId, ProjectId, Tokens, VerifyError};
/// async fn owner(tokens: &Tokens<MemoryStore>, token: &str, project: &ProjectId) -> Result<OwnerId, VerifyError> {
///     Ok(tokens.verify(token).await?.owner().clone())
/// }
/// ```
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

/// Which project a request is about. Implemented by [`InProject`] and [`OwnProject`], and by nothing else.
pub trait ProjectRequirement: Copy + fmt::Debug + Send + Sync + sealed::Sealed {}

/// The request is about this project, and the token must be for it.
#[derive(Clone, Copy, Debug)]
pub struct InProject(ProjectId);

/// The request names no project (`whoami`): the token's own will do.
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
    /// To something of this project, with all of these scopes.
    pub fn to(project: &ProjectId, scopes: &'a [Scope]) -> Self {
        Self { project: InProject(*project), scopes, address: None, client: None }
    }
}

impl<'a> Access<'a, OwnProject> {
    /// To something that belongs to no project other than the token's own, with all of these scopes. The proof that
    /// comes of it is of another type, which code that guards a project does not take.
    pub fn to_own_project(scopes: &'a [Scope]) -> Self {
        Self { project: OwnProject(()), scopes, address: None, client: None }
    }
}

impl<'a, P: ProjectRequirement> Access<'a, P> {
    /// From this client address, as the host knows it: behind a proxy not that of the connection. Without it, a token
    /// that is bound to addresses is refused.
    #[must_use]
    pub fn from_address(self, address: IpAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// By this client, as its `User-Agent` header says. It is no limit: it is recorded with the last use, if
    /// [`Usage::with_origins`](crate::tokens::Usage::with_origins) asks for that.
    #[must_use]
    pub fn by_client(self, user_agent: &'a [u8]) -> Self {
        Self { client: Some(user_agent), ..self }
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns where it comes from.
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
