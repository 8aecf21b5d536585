//! The comparison of a verified token with a project that is known only after the verification.

use core::marker::PhantomData;

use super::access::OwnProject;
use super::check::Verified;
use crate::words::ids::ProjectId;
use crate::words::rejection::Rejection;

impl Verified<OwnProject> {
    /// Checks that the token is for this project, and returns the proof of it. Use this method if
    /// the project of a request is known only after the verification.
    ///
    /// # Errors
    /// Returns [`Rejection::Project`] if the token is for another project.
    pub fn in_project(self, project: &ProjectId) -> Result<Verified, Rejection> {
        let Self { held, scope_rules, age, .. } = self;
        if held.record.project != *project {
            return Err(Rejection::Project);
        }
        Ok(Verified { held, scope_rules, age, demand: PhantomData })
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::rules::proof::Held;
    use crate::rules::sample::{project, record};
    use crate::rules::scope_rules::ScopeRules;

    #[test]
    fn a_verified_token_is_compared_with_a_project() {
        let age = Duration::from_millis(3);
        let scope_rules = ScopeRules::WILDCARDS;
        let own = Verified::<OwnProject> { held: Held::alone(record()), scope_rules, age, demand: PhantomData };
        assert_eq!(own.clone().in_project(&"146".parse().unwrap()).err(), Some(Rejection::Project));
        let verified = own.in_project(&project()).unwrap();
        assert_eq!((verified.project(), verified.age()), (&project(), age));
    }
}
