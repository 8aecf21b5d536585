//! Tests of shared store calls under thousands of random schedules. In these tests, waiting callers
//! are dropped, and the cache gives up calls that take too long.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};
use core::time::Duration;
use std::sync::atomic::Ordering;

use shuttle::thread;

use super::schedules::{World, schedules};
use crate::store::contract::{ReadResult, TokenStore};
use crate::words::store_error::StoreError;

type Wait = Pin<Box<dyn Future<Output = Result<ReadResult, StoreError>> + Send>>;

/// Returns the future of a look-up that already waits for the store.
fn waiter(world: &World) -> Wait {
    let (cached, key) = (world.cached.clone(), world.record.key());
    let mut wait: Wait = Box::pin(async move { cached.find_recent(&key).await });
    assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    wait
}

#[test]
fn waiters_that_are_dropped_at_the_same_time_leave_no_call_behind() {
    shuttle::check_random(
        || {
            let world = World::new();
            let (one, other) = (waiter(&world), waiter(&world));
            assert_eq!(world.cached.under_way(), 1);
            let dropping = thread::spawn(move || drop(one));
            drop(other);
            dropping.join().unwrap();
            assert_eq!(world.cached.under_way(), 0);
        },
        schedules(),
    );
}

/// Checks that a call that was given up does not replace a revoked record in the cache with its
/// result. Such a call continues if another caller still waits for it. After a call was given up,
/// the cache no longer records that a change happens during the call. So it must not keep the
/// result.
#[test]
fn the_answer_of_a_call_that_was_given_up_is_not_kept_over_a_revocation() {
    shuttle::check_random(
        || {
            let mut world = World::new();
            world.cached = world.cached.with_patience(Duration::ZERO);
            let cached = world.cached.clone();
            world.run(async |world| {
                world.cached.revoke(&world.record.key(), &world.revocation).await.unwrap();
                world.revoked.store(true, Ordering::SeqCst);
            });
            assert_eq!(cached.under_way(), 0);
        },
        schedules(),
    );
}
