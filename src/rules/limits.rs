//! The last checks of a verification: what the request needs, against what the token allows.

use super::access::{Access, ProjectRequirement};
use super::owner::OwnerState;
use super::proof::Held;
use super::record::TokenRecord;
use super::scope_rules::ScopeRules;
use crate::words::rejection::Rejection;

/// Checks the owner, the project, the addresses and the scopes, in this order. Returns the
/// rejection of each check that fails. `rules` are the rules by which the policy compares scopes.
#[inline(always)]
pub(super) fn limits<P: ProjectRequirement>(
    held: &Held,
    owner: OwnerState,
    access: &Access<'_, P>,
    rules: ScopeRules,
) -> [Option<Rejection>; 4] {
    let owner = owner.rejection();
    let project = (!access.accepts_project(&held.record.project)).then_some(Rejection::Project);
    let lies_in = |record: &TokenRecord| record.addresses.allow(access.address());
    let address = (!held.all(lies_in)).then_some(Rejection::Address);
    let allows = |record: &TokenRecord| access.scopes().iter().all(|scope| rules.allows(&record.scopes, scope));
    let scope = !held.all(allows);
    [owner, project, address, scope.then_some(Rejection::Scope)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::address::AddressRanges;
    use crate::rules::sample::{project, record};
    use crate::rules::scope::Scope;

    fn limited(record: &TokenRecord, owner: OwnerState, access: &Access<'_>) -> Vec<Rejection> {
        limits(&Held::alone(record.clone()), owner, access, ScopeRules::WILDCARDS).into_iter().flatten().collect()
    }

    #[test]
    fn missing_access_is_reported_in_the_order_of_the_checks() {
        let scopes = [Scope::new("admin").unwrap()];
        let record = TokenRecord { addresses: AddressRanges::new("10.0.0.0/8").unwrap(), ..record() };
        let access = Access::to(&"146".parse().unwrap(), &scopes);
        let all = [Rejection::OwnerOutsideProject, Rejection::Project, Rejection::Address, Rejection::Scope];
        assert_eq!(limited(&record, OwnerState::OutsideProject, &access), all);
        assert_eq!(limited(&record, OwnerState::Active, &access), all[1..]);
        let access = Access::to(&project(), &scopes);
        assert_eq!(limited(&record, OwnerState::Active, &access), all[2..]);
        let access = access.from_address("10.0.0.1".parse().unwrap());
        assert_eq!(limited(&record, OwnerState::Active, &access), all[3..]);
        let scopes = [Scope::new("user").unwrap(), Scope::new("repo:read").unwrap()];
        let access = Access::to(&project(), &scopes).from_address("10.0.0.1".parse().unwrap());
        assert_eq!(limited(&record, OwnerState::Active, &access), []);
    }

    #[test]
    fn every_scope_of_the_access_is_required() {
        let (user, admin) = (Scope::new("user").unwrap(), Scope::new("admin").unwrap());
        for scopes in [[user.clone(), admin.clone()], [admin, user]] {
            assert_eq!(limited(&record(), OwnerState::Active, &Access::to(&project(), &scopes)), [Rejection::Scope]);
        }
    }
}
