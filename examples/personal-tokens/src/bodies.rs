//! Bounds how many large bodies are in memory: a handler takes room before it reads a body, and
//! gives it back afterwards.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// The most time that a request waits for room.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Room for a number of bodies. One sender gets only a part of it, so that there is room for
/// others.
pub struct Bodies<K> {
    most: usize,
    most_of_one: usize,
    held: Mutex<Held<K>>,
    freed: Notify,
}

struct Held<K> {
    all: usize,
    /// How many each sender holds, without the senders that hold none.
    by_sender: HashMap<K, usize>,
}

impl<K: Eq + Hash + Clone> Bodies<K> {
    pub fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        let held = Held { all: 0, by_sender: HashMap::new() };
        Arc::new(Self { most, most_of_one, held: Mutex::new(held), freed: Notify::new() })
    }

    /// Takes room for one body. Returns `None` if there is none within [`PATIENCE`]. An unknown
    /// sender has no limit of its own.
    pub async fn take(self: &Arc<Self>, sender: Option<K>) -> Option<Room<K>> {
        timeout(PATIENCE, self.wait(sender)).await.ok()
    }

    async fn wait(self: &Arc<Self>, sender: Option<K>) -> Room<K> {
        loop {
            // Enabled before the look, so that no notification between the look and the wait is
            // missed.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if self.held().add(self.most, self.most_of_one, sender.as_ref()) {
                return Room { bodies: Arc::clone(self), sender };
            }
            freed.await;
        }
    }

    // No code here panics while it holds the lock.
    fn held(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Held<K> {
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
        let of_one = self.by_sender.get_mut(sender).expect("a sender that holds room is in the map");
        *of_one -= 1;
        if *of_one == 0 {
            self.by_sender.remove(sender);
        }
    }
}

/// Room for one body. Dropping it gives the room back.
pub struct Room<K: Eq + Hash + Clone> {
    bodies: Arc<Bodies<K>>,
    sender: Option<K>,
}

impl<K: Eq + Hash + Clone> Drop for Room<K> {
    fn drop(&mut self) {
        self.bodies.held().remove(self.sender.as_ref());
        self.bodies.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<K: Eq + Hash + Clone> Bodies<K> {
        /// Takes room as `take` does, without its patience.
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
        assert_eq!((held.all, held.by_sender.len()), (0, 0));
    }

    #[tokio::test]
    async fn unknown_sender_is_bounded_by_the_whole() {
        let bodies = Bodies::<u8>::new(3, 1);
        let held = [bodies.take(None).await, bodies.take(None).await, bodies.take(None).await];
        assert!(held.iter().all(Option::is_some) && bodies.try_take(None).await.is_none());
    }
}
