//! Requests whose verification has to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get as on_get;
use keyfob::{
    MemoryStore, OwnerId, ProjectId, Tokens,
    axum::Guard,
    owners::{OwnerState, Owners, OwnersError},
    store::cache::Cached,
};

use crate::axum::world::{HOUR, app, in_project, with};
use crate::support::{actor, keyring, new_token};

/// A directory that must look up every owner. It counts the questions of each kind.
#[derive(Default)]
struct Directory {
    known: AtomicUsize,
    looked_up: AtomicUsize,
}

impl Owners for Directory {
    fn known(&self, _: &OwnerId, _: &ProjectId) -> Option<OwnerState> {
        self.known.fetch_add(1, Ordering::SeqCst);
        None
    }

    async fn state(&self, _: &OwnerId, _: &ProjectId) -> Result<OwnerState, OwnersError> {
        self.looked_up.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(OwnerState::Active)
    }
}

#[tokio::test]
async fn no_step_is_repeated_when_a_verification_waits_for_the_owner() {
    let (store, directory) = (Arc::new(Cached::new(MemoryStore::new(), HOUR)), Arc::new(Directory::default()));
    let tokens = Arc::new(Tokens::new(keyring(), Arc::clone(&store)).with_owners(Arc::clone(&directory)));
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    let guard = Guard::new(tokens).project_in_path("project", "").unwrap();
    let app = app("/{project}", on_get(in_project).layer(guard));
    let counts = || {
        let asked = [&directory.known, &directory.looked_up].map(|count| count.load(Ordering::SeqCst));
        (store.counts().hits, store.counts().misses, asked)
    };
    for (hits, misses, asked) in [(0, 1, [1, 1]), (1, 1, [2, 2]), (2, 1, [3, 3])] {
        with(&app, "/145", &issued).await.passed("ada in 145");
        assert_eq!(counts(), (hits, misses, asked));
    }
}
