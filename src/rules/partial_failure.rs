//! The details of an operation that failed in some projects.

use core::fmt;

use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;

/// The details of an operation that runs in all projects and failed in some of them.
/// [`Error::partial`](crate::Error::partial) returns these details.
///
/// The operation tried every project that the store could list. To finish the operation, repeat the
/// call. The repeated call goes through all projects again. If the operation was a revocation, you
/// can skip the projects in which it succeeded: call [`revoke_group`](crate::Tokens::revoke_group)
/// for each project in `failed`, and then call
/// [`revoke_everywhere`](crate::Tokens::revoke_everywhere) with the value of `after`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartialFailure {
    /// The projects in which the store failed, in the order in which the operation tried them. In
    /// such a project, the store may revoke or delete some of the tokens before it fails.
    pub failed: Vec<ProjectId>,
    /// The last project that the operation tried, or `None` if it tried none. The store lists the
    /// projects in several calls. If one of these calls failed, the operation tried no project
    /// after this one. If they all succeeded, it tried all projects.
    pub after: Option<ProjectId>,
    /// The number of tokens that the operation revoked or deleted in the projects in which it
    /// succeeded.
    pub count: u64,
}

impl PartialFailure {
    /// Writes the projects in which the operation failed, and the first error of the store.
    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>, error: &StoreError) -> fmt::Result {
        match (self.failed.as_slice(), self.after) {
            ([], None) => f.write_str("cannot list the projects")?,
            ([], Some(after)) => write!(f, "cannot list the projects after {after}")?,
            ([project], _) => write!(f, "failed in project {project}")?,
            ([first, ..], _) => write!(f, "failed in {} projects, the first of them {first}", self.failed.len())?,
        }
        write!(f, ": {error} ({} tokens in other projects were revoked or deleted; repeat the call)", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::error::Error;
    use crate::rules::error_kind::ErrorKind;
    use crate::words::store_error::StoreErrorKind;

    #[test]
    fn a_partial_failure_names_where_it_failed() {
        let partly = |failed: &[&str], after: Option<&str>| {
            let failed = failed.iter().map(|project| project.parse().unwrap()).collect();
            let after = after.map(|project| project.parse().unwrap());
            let partial = PartialFailure { failed, after, count: 7 };
            let error = Error::partly(partial.clone(), StoreError::new(StoreErrorKind::Unavailable));
            assert_eq!((error.kind(), error.partial()), (ErrorKind::Partial, Some(&partial)));
            assert_eq!(error.store().map(StoreError::kind), Some(StoreErrorKind::Unavailable));
            error.to_string()
        };
        let cause = StoreError::new(StoreErrorKind::Unavailable);
        let end = format!(": {cause} (7 tokens in other projects were revoked or deleted; repeat the call)");
        assert_eq!(partly(&[], None), format!("cannot list the projects{end}"));
        assert_eq!(partly(&[], Some("145")), format!("cannot list the projects after 145{end}"));
        assert_eq!(partly(&["145"], Some("146")), format!("failed in project 145{end}"));
        assert_eq!(partly(&["145", "146"], None), format!("failed in 2 projects, the first of them 145{end}"));
        assert!(Error::from(ErrorKind::Partial).partial().is_none());
    }
}
