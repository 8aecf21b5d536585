//! Bounds the number of large request bodies in memory. A handler takes a permit ([`Room`]) before
//! it reads a body, and drops the permit afterwards. The number of requests that wait for a permit
//! is bounded too. The questions in progress at upstreams are counted in the same way.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::serve::queued;

/// The maximum time for which a request waits for a permit to read its body.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The number of requests that may wait for each body that may be in memory. For example, if a
/// sender may have 2 bodies in memory, 8 of its requests may wait. The same applies to all senders
/// together.
const WAITING: usize = 4;

/// A limit on the number of request bodies in memory. One sender has a lower limit, so that bodies
/// of other senders can be read too.
pub struct Bodies<K> {
    most: usize,
    most_of_one: usize,
    held: Mutex<Held<K>>,
    freed: Notify,
}

struct Held<K> {
    room: Tally<K>,
    /// The number of requests that wait for a permit.
    line: Tally<K>,
}

/// A number of requests, in total and for each sender.
struct Tally<K> {
    all: usize,
    /// The number of requests of each sender. Senders without a request are absent.
    by_sender: HashMap<K, usize>,
}

impl<K: Eq + Hash + Clone> Bodies<K> {
    pub fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        let held = Held { room: Tally::new(), line: Tally::new() };
        Arc::new(Self { most, most_of_one, held: Mutex::new(held), freed: Notify::new() })
    }

    /// Takes a permit to read one body. Returns `None` if no permit becomes free within
    /// [`PATIENCE`], or immediately if too many requests already wait. If the sender is unknown,
    /// only the limit for all senders together applies.
    pub async fn take(self: &Arc<Self>, sender: Option<K>) -> Option<Room<K>> {
        if let Some(room) = self.take_now(sender.as_ref()) {
            return Some(room);
        }
        let _place = self.place(sender.as_ref())?;
        queued(timeout(PATIENCE, self.wait(sender))).await.ok()
    }

    async fn wait(self: &Arc<Self>, sender: Option<K>) -> Room<K> {
        loop {
            // Enable the notification before the check, so that a notification between the check
            // and the wait is not lost.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(room) = self.take_now(sender.as_ref()) {
                return room;
            }
            freed.await;
        }
    }

    /// Takes a permit to read one body. Returns `None` without waiting if no permit is free for the
    /// sender.
    pub fn take_now(self: &Arc<Self>, sender: Option<&K>) -> Option<Room<K>> {
        let is_taken = self.held().room.add(self.most, self.most_of_one, sender);
        is_taken.then(|| Room { bodies: Arc::clone(self), sender: sender.cloned() })
    }

    /// Counts one request as waiting. Returns `None` if too many requests already wait.
    fn place(&self, sender: Option<&K>) -> Option<Place<'_, K>> {
        let is_taken = self.held().line.add(WAITING * self.most, WAITING * self.most_of_one, sender);
        is_taken.then(|| Place { bodies: self, sender: sender.cloned() })
    }

    // No code here panics while it holds the lock.
    fn held(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Tally<K> {
    fn new() -> Self {
        Self { all: 0, by_sender: HashMap::new() }
    }

    /// Adds one request unless a limit is reached. Returns whether the request was added.
    fn add(&mut self, most: usize, most_of_one: usize, sender: Option<&K>) -> bool {
        let of_one = sender.and_then(|sender| self.by_sender.get(sender)).copied().unwrap_or(0);
        if self.all >= most || of_one >= most_of_one {
            return false;
        }
        self.all += 1;
        if let Some(sender) = sender {
            self.by_sender.insert(sender.clone(), of_one + 1);
        }
        true
    }

    fn remove(&mut self, sender: Option<&K>) {
        self.all -= 1;
        let Some(sender) = sender else { return };
        let of_one = self.by_sender.get_mut(sender).expect("a sender that was added is in the map");
        *of_one -= 1;
        if *of_one == 0 {
            self.by_sender.remove(sender);
        }
    }
}

/// A permit to read one request body into memory. Dropping the permit frees it for another body.
pub struct Room<K: Eq + Hash + Clone> {
    bodies: Arc<Bodies<K>>,
    sender: Option<K>,
}

impl<K: Eq + Hash + Clone> Drop for Room<K> {
    fn drop(&mut self) {
        self.bodies.held().room.remove(self.sender.as_ref());
        self.bodies.freed.notify_waiters();
    }
}

/// A guard that counts one request as waiting. Dropping the guard removes the request from the
/// count.
struct Place<'b, K: Eq + Hash + Clone> {
    bodies: &'b Bodies<K>,
    sender: Option<K>,
}

impl<K: Eq + Hash + Clone> Drop for Place<'_, K> {
    fn drop(&mut self) {
        self.bodies.held().line.remove(self.sender.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    impl<K: Eq + Hash + Clone> Bodies<K> {
        /// Takes a permit like [`Bodies::take`], but waits for at most a millisecond.
        async fn try_take(self: &Arc<Self>, sender: Option<K>) -> Option<Room<K>> {
            timeout(Duration::from_millis(1), self.wait(sender)).await.ok()
        }
    }

    #[tokio::test]
    async fn sender_leaves_room_for_others() {
        let bodies = Bodies::new(3, 2);
        let mut held = vec![bodies.take(Some("a")).await, bodies.take(Some("a")).await];
        assert!(held.iter().all(Option::is_some));
        assert!(bodies.try_take(Some("a")).await.is_none());
        held.push(bodies.take(Some("b")).await);
        assert!(held[2].is_some());
        assert!(bodies.try_take(Some("c")).await.is_none() && bodies.try_take(None).await.is_none());

        // Room that is given back goes to a sender that waits for it.
        let waiting = tokio::spawn({
            let bodies = Arc::clone(&bodies);
            async move { bodies.take(Some("c")).await.is_some() }
        });
        tokio::task::yield_now().await;
        held.remove(0);
        assert!(waiting.await.expect("it does not panic"));
        held.clear();
        let held = bodies.held();
        assert_eq!((held.room.all, held.room.by_sender.len()), (0, 0));
    }

    #[tokio::test]
    async fn unknown_sender_is_bounded_by_the_whole() {
        let bodies = Bodies::<u8>::new(3, 1);
        let held = [bodies.take(None).await, bodies.take(None).await, bodies.take(None).await];
        assert!(held.iter().all(Option::is_some) && bodies.try_take(None).await.is_none());
    }

    #[tokio::test]
    async fn senders_beyond_those_that_wait_are_refused_without_a_wait() {
        let bodies = Bodies::new(2, 2);
        let held = [bodies.take(None).await, bodies.take(None).await];
        assert!(held.iter().all(Option::is_some));
        let wait = |sender| {
            let bodies = Arc::clone(&bodies);
            tokio::spawn(async move { bodies.take(sender).await.is_some() })
        };
        // Room for two bodies lets at most eight requests wait.
        let mut waiting: Vec<_> = (0..4).map(|_| wait(Some("a"))).collect();
        tokio::task::yield_now().await;
        waiting.extend((0..4).map(|_| wait(None)));
        tokio::task::yield_now().await;
        for sender in [Some("a"), Some("b"), None] {
            assert!(matches!(bodies.take(sender).now_or_never(), Some(None)), "{sender:?} waits");
        }
        // If a waiting request is dropped, another request gets its place.
        waiting.remove(0).abort();
        tokio::task::yield_now().await;
        assert!(bodies.take(Some("b")).now_or_never().is_none());
        drop(held);
        for waits in waiting {
            assert!(waits.await.expect("it does not panic"));
        }
        let held = bodies.held();
        assert_eq!((held.room.all, held.line.all, held.line.by_sender.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn one_sender_leaves_place_for_others_that_wait() {
        let bodies = Bodies::new(4, 2);
        let _held = join_all((0..4).map(|_| bodies.take(None))).await;
        let mut waiting: Vec<_> = (0..9).map(|_| Box::pin(bodies.take(Some("a")))).collect();
        let refused = waiting.iter_mut().filter_map(|take| take.now_or_never()).count();
        assert_eq!(refused, 1);
        assert!(bodies.take(Some("b")).now_or_never().is_none());
    }
}
