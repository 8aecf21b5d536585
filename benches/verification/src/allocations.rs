//! The heap allocations of a verification.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Access, Clock, MemoryStore, Policy, PresentedToken, SystemClock, TokenStore, Tokens, check, store::cache::Cached,
};

use crate::heap::allocations_of;
use crate::http::Clients;
use crate::table::Table;
use crate::world::{Population, keyring, project, ready};

/// Counts the allocations of an accepted request at each level.
pub fn allocations(table: &mut Table) {
    let (keyring, policy, project, store) = (keyring(0), Policy::default(), project(), MemoryStore::new());
    let access = Access::to(&project, &[]);
    let population = Population::new(1, &store);
    let (text, record) = (&population.texts[0], &population.records[0]);
    let checked = allocations_of(|| {
        let token = PresentedToken::parse(text, &keyring).expect("the token is genuine");
        let row = Some(Arc::clone(record));
        black_box(check(&token, row.into(), &access, &policy, SystemClock.now()).expect("the token is live"));
    });
    table.allocations("`PresentedToken::parse`, `check`", checked);
    table.allocations("`Tokens<MemoryStore>::verify`", of_verify(store, text));
    let store = MemoryStore::new();
    ready(store.insert((**record).clone(), None, None)).expect("the id is new");
    table.allocations(
        "`Tokens<Cached<MemoryStore>>::verify`",
        of_verify(Cached::new(store, Duration::from_secs(3600)), text),
    );

    let mut clients = Clients::new();
    let bare = allocations_of(|| clients.bare.call());
    let layered = allocations_of(|| clients.empty_layer.call());
    let in_project = allocations_of(|| clients.bare_in_project.call());
    table.allocations("bare route of axum", bare);
    table.allocations("a layer that does nothing, beyond the bare route", layered - bare);
    table.allocations("guard, beyond such a layer", allocations_of(|| clients.guarded.call()) - layered);
    let extracted = allocations_of(|| clients.extracted.call());
    table.allocations("guard, and `Authenticated` in the handler", extracted - layered);
    let guarded = allocations_of(|| clients.guarded_in_project.call());
    table.allocations("guard with the project in the path", guarded - in_project - (layered - bare));
}

fn of_verify<S: TokenStore>(store: S, text: &[u8]) -> f64 {
    let tokens = Tokens::new(crate::world::keyring(0), store);
    let project = crate::world::project();
    allocations_of(|| {
        let access = Access::to(&project, &[]);
        black_box(ready(tokens.verify(text, &access)).expect("the token is live"));
    })
}
