//! Tests of the host's directory of owners. If the directory already knows the state of an owner,
//! the service uses this state. Otherwise the service looks the owner up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use keyfob::{
    Access, ErrorKind, MemoryStore, OwnerId, ProjectId, Rejection, Scope, ScopeSet, Tokens,
    clock::FixedClock,
    owners::{OwnerState, Owners, OwnersError},
};

use crate::support::{actor, keyring, kind_of, new_token, now, project};

/// A directory of owners that counts the look-ups. If `known` is set, the directory returns this
/// state for every owner, without a look-up.
#[derive(Default)]
struct Directory {
    known: Mutex<Option<OwnerState>>,
    looked_up: AtomicUsize,
}

impl Owners for Directory {
    fn known(&self, owner: &OwnerId, project: &ProjectId) -> Option<OwnerState> {
        assert_eq!((owner.as_str(), project.as_str()), ("ada", "145"));
        *self.known.lock().unwrap()
    }

    async fn state(&self, owner: &OwnerId, project: &ProjectId) -> Result<OwnerState, OwnersError> {
        assert_eq!((owner.as_str(), project.as_str()), ("ada", "145"));
        self.looked_up.fetch_add(1, Ordering::SeqCst);
        Ok(OwnerState::Suspended)
    }
}

#[tokio::test]
async fn an_owner_that_is_known_is_not_looked_up() {
    let directory = Arc::new(Directory::default());
    let knows = |state| *directory.known.lock().unwrap() = state;
    let looked_up = || directory.looked_up.load(Ordering::SeqCst);
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()));
    let tokens = tokens.with_owners(Arc::clone(&directory));
    let issued = tokens.issue(&actor(), new_token().with_scopes(ScopeSet::new("manage").unwrap())).await.unwrap();
    let text = issued.token.expose_secret();
    let here = project("145");
    let access = Access::to(&here, &[]);

    knows(Some(OwnerState::Active));
    let verified = tokens.verify(text, &access).await.unwrap();
    tokens.recheck(&verified, &access).await.unwrap();
    tokens.explain(text, &access).await.unwrap();
    let delegation = verified.delegate(&Scope::new("manage").unwrap()).unwrap();
    tokens.issue(&delegation.actor(), new_token().within(&delegation)).await.unwrap();
    assert_eq!(looked_up(), 0);

    knows(Some(OwnerState::OutsideProject));
    let refused = tokens.verify(text, &access).await.unwrap_err();
    assert_eq!(refused.rejection(), Some(Rejection::OwnerOutsideProject));
    let refused = tokens.issue(&delegation.actor(), new_token().within(&delegation)).await;
    assert_eq!(kind_of(refused).unwrap_err(), ErrorKind::IssuerEnded(Rejection::OwnerOutsideProject));
    assert_eq!(looked_up(), 0);

    // If the directory does not know the state, the service looks the owner up on each call.
    knows(None);
    for times in 1..=2 {
        let refused = tokens.verify(text, &access).await.unwrap_err();
        assert_eq!((refused.rejection(), looked_up()), (Some(Rejection::OwnerSuspended), times));
    }
    let refused = tokens.recheck(&verified, &access).await.unwrap_err();
    assert_eq!((refused.rejection(), looked_up()), (Some(Rejection::OwnerSuspended), 3));
}
