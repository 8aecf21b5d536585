//! The threads that compute the slow hashes of imported tokens.

use core::fmt;
use core::num::NonZeroUsize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::promise::{Promise, Promised, promise};
use crate::rules::imports::{SlowLimits, Spawn};
use crate::words::ids::TokenKey;
use crate::words::import_digest::ImportDigest;
use crate::words::invalid::Invalid;

/// A function that computes a slow hash.
pub(super) type Compute = Box<dyn FnOnce() -> Result<ImportDigest, Invalid> + Send>;

/// The slow hashes of one service. A bounded number of them runs at the same time, and a bounded
/// number waits.
pub(super) struct SlowHashes {
    places: Arc<Places>,
    spawn: Arc<Spawn>,
}

/// The error of a hash for which there is no place, or that was dropped.
#[derive(Debug)]
pub(super) struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many slow hashes of imported tokens run or wait; see Imports::with_slow_limits")
    }
}

impl core::error::Error for Busy {}

/// The places for hashes that run or wait.
struct Places {
    running: usize,
    waiting: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// The number of workers. Each worker computes one hash after the other.
    workers: usize,
    /// The hashes that wait for a worker.
    waiting: VecDeque<Job>,
    /// The token of each hash that runs or waits.
    taken: Vec<TokenKey>,
}

/// A hash to compute.
struct Job {
    compute: Compute,
    promise: Promise<Result<ImportDigest, Invalid>>,
    place: Place,
}

/// A place for one hash. Dropping it gives the place back.
struct Place {
    places: Arc<Places>,
    token: TokenKey,
}

impl Places {
    fn most(&self) -> usize {
        self.running.saturating_add(self.waiting)
    }

    // No code panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queue = self.places.lock();
        if let Some(at) = queue.taken.iter().position(|token| *token == self.token) {
            queue.taken.swap_remove(at);
        }
    }
}

impl SlowHashes {
    /// Creates the threads' queue. Without `spawn`, each worker gets a new thread.
    pub(super) fn new(limits: SlowLimits, spawn: Option<Arc<Spawn>>) -> Self {
        let spawn = spawn.unwrap_or_else(|| Arc::new(spawn_thread));
        let SlowLimits { running, waiting } = limits;
        let running = running.unwrap_or_else(|| {
            let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
            (cores / 2).clamp(1, 4)
        });
        Self { places: Arc::new(Places { running, waiting, queue: Mutex::default() }), spawn }
    }

    /// Returns whether each place is taken.
    pub(super) fn are_full(&self) -> bool {
        self.places.lock().taken.len() >= self.places.most()
    }

    /// Computes a slow hash for this token on another thread. The future returns `None` if the hash
    /// was dropped or panicked.
    ///
    /// # Errors
    /// Returns [`Busy`] immediately if there is no place. The hashes of one token get at most half
    /// of the places, rounded up, so that a flood with one public part leaves places for others.
    pub(super) fn compute(
        &self,
        token: TokenKey,
        compute: Compute,
    ) -> Result<Promised<Result<ImportDigest, Invalid>>, Busy> {
        let most = self.places.most();
        let (promise, promised) = promise();
        let worker = {
            let mut queue = self.places.lock();
            let own = queue.taken.iter().filter(|taken| **taken == token).count();
            if queue.taken.len() >= most || own >= most.div_ceil(2) {
                return Err(Busy);
            }
            queue.taken.push(token);
            let job = Job { compute, promise, place: Place { places: Arc::clone(&self.places), token } };
            if queue.workers == self.places.running {
                queue.waiting.push_back(job);
                return Ok(promised);
            }
            queue.workers += 1;
            Worker { places: Arc::clone(&self.places), first: Some(job), is_done: false }
        };
        (self.spawn)(Box::new(move || worker.work()));
        Ok(promised)
    }
}

/// A worker, which computes hashes until none waits. It counts as a worker until it is dropped.
struct Worker {
    places: Arc<Places>,
    first: Option<Job>,
    is_done: bool,
}

impl Worker {
    fn work(mut self) {
        let mut job = self.first.take();
        while let Some(Job { compute, promise, place }) = job {
            if !promise.is_abandoned() {
                let hash = compute();
                // The caller may begin another check as soon as it has this hash.
                drop(place);
                promise.keep(hash);
            }
            job = self.next();
        }
    }

    /// Returns the next hash to compute. If no hash waits, the worker no longer counts.
    fn next(&mut self) -> Option<Job> {
        let mut queue = self.places.lock();
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.workers -= 1;
            self.is_done = true;
        }
        next
    }
}

/// A worker that the host's function never ran, or whose hash panicked, is dropped before it is
/// done.
impl Drop for Worker {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let left = {
            let mut queue = self.places.lock();
            queue.workers -= 1;
            // No other worker is left that would compute these hashes.
            if queue.workers == 0 { core::mem::take(&mut queue.waiting) } else { VecDeque::new() }
        };
        // Dropping the hashes gives their places back, which needs the lock.
        drop(left);
    }
}

fn spawn_thread(work: Box<dyn FnOnce() + Send>) {
    // If there is no thread, the worker is dropped, and the checks that wait for it fail.
    drop(thread::Builder::new().name("keyfob-slow-hash".into()).spawn(work));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::rules::sample::{id, record};
    use crate::store::ready::now;

    type Work = Box<dyn FnOnce() + Send>;

    /// Creates a queue whose workers run when the test takes them from the channel.
    fn queue(running: usize, waiting: usize) -> (SlowHashes, Receiver<Work>) {
        let (send, receive): (Sender<Work>, _) = channel();
        let spawn = move |work| send.send(work).unwrap();
        (SlowHashes::new(SlowLimits { running: Some(running), waiting }, Some(Arc::new(spawn))), receive)
    }

    fn token(last: char) -> TokenKey {
        TokenKey { id: id(last), ..record().key() }
    }

    fn hash(byte: u8) -> Compute {
        Box::new(move || Ok([byte; 16].into()))
    }

    fn value(promised: Promised<Result<ImportDigest, Invalid>>) -> Option<ImportDigest> {
        now(promised).map(Result::unwrap)
    }

    #[test]
    fn hashes_run_wait_or_are_refused() {
        let (hashes, workers) = queue(1, 2);
        let compute = |last: char, byte| hashes.compute(token(last), hash(byte));
        let [first, second, third] = [('1', 1), ('2', 2), ('3', 3)].map(|(last, byte)| compute(last, byte).unwrap());
        assert!(hashes.are_full() && compute('4', 4).is_err());
        workers.try_recv().unwrap()();
        assert!(workers.try_recv().is_err(), "one worker computes all hashes");
        let values = [first, second, third].map(value);
        assert_eq!(values, [1, 2, 3].map(|byte| Some([byte; 16].into())));
        assert!(!hashes.are_full());
        let again = compute('4', 4).unwrap();
        workers.try_recv().unwrap()();
        assert_eq!(value(again), Some([4; 16].into()));
    }

    #[test]
    fn one_token_gets_half_of_the_places() {
        let (hashes, _workers) = queue(1, 4);
        let compute = |last: char| hashes.compute(token(last), hash(1));
        let held: Vec<_> = "11123".chars().map(|last| compute(last).is_ok()).collect();
        assert_eq!(held, [true; 5], "half of 5 is 3, rounded up");
        let (hashes, _workers) = queue(1, 4);
        let own: Vec<_> = "1111".chars().map(|last| hashes.compute(token(last), hash(1)).is_ok()).collect();
        assert_eq!(own, [true, true, true, false]);
        assert!(hashes.compute(token('2'), hash(1)).is_ok());
    }

    #[test]
    fn an_abandoned_hash_is_not_computed_and_keeps_its_place_until_its_turn() {
        let (hashes, workers) = queue(1, 1);
        let never: Compute = Box::new(|| unreachable!("nothing waits for this hash"));
        drop(hashes.compute(token('1'), never).unwrap());
        let second = hashes.compute(token('2'), hash(2)).unwrap();
        assert!(hashes.compute(token('3'), hash(3)).is_err());
        workers.try_recv().unwrap()();
        assert_eq!(value(second), Some([2; 16].into()));
        assert!(hashes.compute(token('3'), hash(3)).is_ok());
    }

    #[test]
    fn a_worker_that_never_runs_frees_all_places() {
        let (hashes, workers) = queue(1, 1);
        let compute = |last: char| hashes.compute(token(last), hash(1));
        let (first, second) = (compute('1').unwrap(), compute('2').unwrap());
        drop(workers.try_recv().unwrap());
        assert_eq!((value(first), value(second)), (None, None));
        let third = compute('3').unwrap();
        workers.try_recv().unwrap()();
        assert_eq!(value(third), Some([1; 16].into()));
    }

    #[test]
    fn a_hash_that_panics_fails_only_itself_while_another_worker_runs() {
        let (hashes, workers) = queue(2, 2);
        let panics: Compute = Box::new(|| panic!("a fault of the host's function"));
        let first = hashes.compute(token('1'), panics).unwrap();
        let second = hashes.compute(token('2'), hash(2)).unwrap();
        let third = hashes.compute(token('3'), hash(3)).unwrap();
        let (one, two) = (workers.try_recv().unwrap(), workers.try_recv().unwrap());
        assert!(thread::spawn(one).join().is_err());
        assert_eq!(value(first), None);
        two();
        assert_eq!([value(second), value(third)], [2, 3].map(|byte| Some([byte; 16].into())));
        assert_eq!(hashes.places.lock().workers, 0);
        assert!(hashes.places.lock().taken.is_empty());
    }

    #[test]
    fn by_default_a_hash_gets_a_thread() {
        let hashes = SlowHashes::new(SlowLimits { running: None, waiting: 0 }, None);
        let (send, receive) = channel();
        let compute: Compute = Box::new(move || {
            send.send(thread::current().name().map(str::to_owned)).unwrap();
            Ok([1; 16].into())
        });
        let _promised = hashes.compute(token('1'), compute).unwrap();
        assert_eq!(receive.recv().unwrap().as_deref(), Some("keyfob-slow-hash"));
    }
}
