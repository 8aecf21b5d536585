//! The gate that decides which calls of this process may hold a connection, and which wait without
//! one.
//!
//! A project's turn is a lock in the database (see turn.rs). One operation at a time holds it. A
//! call may have to wait for the turn until other calls have ended, perhaps in other processes. If
//! each waiting call held a connection, one busy project would take all connections, and no project
//! could verify tokens. So the calls of this process wait here without a connection. Each project
//! has a queue for each kind of call. Only the first calls of each queue may hold connections. All
//! queues together use only a share of the pool.
//!
//! The database orders the calls of different processes. This gate orders the calls of one process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::words::store_error::{StoreError, StoreErrorKind};

/// The maximum number of calls in one queue, including the call that proceeds. If each call takes 2
/// ms, the last call waits for 2 s. This is less than the time limit of a call, which is 5 s.
const IN_LINE: usize = 1_000;

/// The maximum number of inserts of one project that count live tokens at the same time. An insert
/// with a limit first counts the live tokens, and fails if the limit is reached. During a flood of
/// such inserts, each insert that counts keeps one core of the database server busy. On a machine
/// with 2 cores, one such insert made a verification take 1.3 times as long, and two such inserts
/// made it take 1.6 times as long.
const COUNTING: usize = 1;

pub(in crate::adapters) struct Gate {
    /// The queues of the calls that take a project's turn (a lock on the project). There is one
    /// queue for each project.
    turns: Lines,
    /// The queues of the inserts with a limit. An insert waits here until it can count the live
    /// tokens. After the count, it waits in the project's queue in `turns`.
    counts: Lines,
    /// The queues of the revocations of tokens and groups. Revocations have separate queues, so
    /// that a flood of renames or rotations cannot keep a caller from revoking a token.
    revocations: Lines,
    /// The queues of all other writes, which neither take a turn nor revoke tokens. Each of these
    /// writes may have to wait for a row that another call has locked.
    writes: Lines,
    /// The permits for connections of the pool. A call that takes a turn needs a permit of
    /// `of_turns`. A call that counts tokens needs a permit of `of_counts`. Every call that writes
    /// or counts tokens needs a permit of `of_writers`.
    of_turns: Arc<Semaphore>,
    of_counts: Arc<Semaphore>,
    of_writers: Arc<Semaphore>,
}

impl Gate {
    /// Creates a gate for a pool of this many connections. The gate divides the connections:
    /// - A fifth of the connections is only for reads. The other connections can be used for
    ///   writes.
    /// - In each project, the writes that do not take the project's turn use less than half of the
    ///   connections for writes.
    /// - In all projects together, the calls that take a turn use at most half of the pool.
    ///
    /// So in a pool of at least 6 connections, one project cannot use all connections for writes.
    pub(in crate::adapters) fn new(connections: u32) -> Self {
        let connections = connections as usize;
        let fifth = (connections / 5).max(1);
        let writers = connections.saturating_sub(fifth);
        let share = |most: usize| Arc::new(Semaphore::new(most.max(1)));
        Self {
            turns: Lines::new(1),
            counts: Lines::new(COUNTING),
            revocations: Lines::new(1),
            writes: Lines::new((writers.saturating_sub(2) / 2).max(1)),
            of_turns: share(connections / 2),
            of_counts: share(fifth),
            of_writers: share(writers),
        }
    }

    /// Waits until this call gets a connection for a write. The write does not take the project's
    /// turn (a lock on the project in the database).
    pub(in crate::adapters) async fn write(&self, project: &str) -> Result<Pass, StoreError> {
        self.pass(&self.writes, None, project).await
    }

    /// Waits until this call is the only call of this process that takes the project's turn (a lock
    /// on the project in the database), and until a connection for a turn is free.
    pub(in crate::adapters) async fn turn(&self, project: &str) -> Result<Pass, StoreError> {
        self.pass(&self.turns, Some(&self.of_turns), project).await
    }

    /// Waits until this call is the only call of this process that revokes tokens of the project,
    /// and until a connection for a write is free.
    pub(in crate::adapters) async fn revocation(&self, project: &str) -> Result<Pass, StoreError> {
        self.pass(&self.revocations, None, project).await
    }

    /// Waits until this call is the only call of this process that revokes tokens of the project,
    /// and until a connection for a turn is free. To revoke a group of tokens, the caller then
    /// takes the project's turn (a lock on the project in the database).
    pub(in crate::adapters) async fn group_revocation(&self, project: &str) -> Result<Pass, StoreError> {
        self.pass(&self.revocations, Some(&self.of_turns), project).await
    }

    /// Waits until this call may count the tokens of the project before an insert. At most
    /// [`COUNTING`] calls of this process count in one project at the same time.
    pub(in crate::adapters) async fn count(&self, project: &str) -> Result<Pass, StoreError> {
        self.pass(&self.counts, Some(&self.of_counts), project).await
    }

    /// Waits until a connection is free. With this connection, the call tries again to take a turn
    /// (a lock on a project). `place` is the call's place in its queue. The call kept this place
    /// when it returned its connection after the previous try. `None` means that the call is in no
    /// queue.
    pub(in crate::adapters) async fn proceed_to_turn(&self, place: Option<Place>) -> Pass {
        self.with_connection(place, Some(&self.of_turns)).await
    }

    async fn pass(&self, lines: &Lines, share: Option<&Arc<Semaphore>>, project: &str) -> Result<Pass, StoreError> {
        let place = lines.wait(project).await?;
        Ok(self.with_connection(Some(place), share).await)
    }

    async fn with_connection(&self, place: Option<Place>, share: Option<&Arc<Semaphore>>) -> Pass {
        let of_kind = match share {
            Some(share) => Some(permit(share).await),
            None => None,
        };
        Pass { place, _shares: [of_kind, Some(permit(&self.of_writers).await)] }
    }
}

async fn permit(of: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(of).acquire_owned().await.expect("no semaphore of a gate is ever closed")
}

/// The right of a call to a connection. The call holds the pass until its connection is back in the
/// pool.
#[derive(Default)]
pub(in crate::adapters) struct Pass {
    place: Option<Place>,
    _shares: [Option<OwnedSemaphorePermit>; 2],
}

impl Pass {
    /// Gives up the place in the queue, so that the next call proceeds. The caller must first
    /// release the project's lock in the database, or finish the query that counts tokens.
    pub(in crate::adapters) fn leave_line(&mut self) {
        self.place = None;
    }

    /// Takes the call's place in the queue out of the pass, and returns the place. Returns `None`
    /// if the pass has no place. If another process holds the project's turn (a lock on the
    /// project), the caller uses this function to keep its place while it gives up its connection
    /// and its pass.
    pub(in crate::adapters) fn keep_place(&mut self) -> Option<Place> {
        self.place.take()
    }
}

/// The queues of the calls of one kind. There is one queue for each project that has calls of this
/// kind.
#[derive(Clone)]
struct Lines {
    lines: Arc<Mutex<HashMap<Box<str>, Line>>>,
    /// The maximum number of calls of one queue that proceed at the same time. The other calls of
    /// the queue wait.
    proceed: usize,
}

struct Line {
    first: Arc<Semaphore>,
    calls: usize,
}

/// The place of a call that proceeds, at the head of its queue. When the place is dropped, the
/// first field lets the next call proceed. Then the second field removes the call from the queue,
/// and removes the queue if it is empty.
pub(in crate::adapters) struct Place {
    _first: OwnedSemaphorePermit,
    _counted: Counted,
}

/// The registration of one call in its queue. A queue counts all of its calls, whether they wait or
/// proceed. When the registration is dropped, the queue no longer counts the call.
struct Counted {
    lines: Lines,
    project: Box<str>,
}

impl Lines {
    fn new(proceed: usize) -> Self {
        Self { lines: Arc::default(), proceed }
    }

    async fn wait(&self, project: &str) -> Result<Place, StoreError> {
        let (counted, line) = self.enter(project)?;
        Ok(Place { _first: permit(&line).await, _counted: counted })
    }

    fn enter(&self, project: &str) -> Result<(Counted, Arc<Semaphore>), StoreError> {
        let mut lines = self.lock();
        let line = lines.entry(project.into());
        let line = line.or_insert_with(|| Line { first: Arc::new(Semaphore::new(self.proceed)), calls: 0 });
        if line.calls >= IN_LINE {
            let why = "too many calls wait to write in one project";
            return Err(StoreError::with_source(StoreErrorKind::Unavailable, why));
        }
        line.calls += 1;
        Ok((Counted { lines: self.clone(), project: project.into() }, Arc::clone(&line.first)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Line>> {
        // No code panics while it holds the lock.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        let line = lines.get_mut(&self.project).expect("a line exists while a call is counted in it");
        line.calls -= 1;
        if line.calls == 0 {
            lines.remove(&self.project);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use super::*;

    /// Returns the value of a future that is ready, or `None` if the future would wait.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    fn turn(gate: &Gate, project: &str) -> Option<Pass> {
        now(gate.turn(project)).map(|pass| pass.unwrap())
    }

    fn write(gate: &Gate, project: &str) -> Option<Pass> {
        now(gate.write(project)).map(|pass| pass.unwrap())
    }

    fn count(gate: &Gate, project: &str) -> Option<Pass> {
        now(gate.count(project)).map(|pass| pass.unwrap())
    }

    fn revocation(gate: &Gate, project: &str) -> Option<Pass> {
        now(gate.revocation(project)).map(|pass| pass.unwrap())
    }

    #[test]
    fn one_project_never_takes_all_connections_that_may_write() {
        for connections in 6..=200 {
            let gate = Gate::new(connections);
            let mut held = Vec::new();
            for take in [turn, count, revocation, write] {
                held.extend((0..connections).map_while(|_| take(&gate, "145")));
            }
            assert!(turn(&gate, "146").is_some(), "{connections} connections");
            assert!(write(&gate, "146").is_some(), "{connections} connections");
        }
    }

    #[test]
    fn one_call_of_a_project_proceeds_at_a_time() {
        let gate = Gate::new(10);
        let mut first = turn(&gate, "145").unwrap();
        assert!(turn(&gate, "145").is_none());
        assert!(turn(&gate, "146").is_some());
        first.leave_line();
        assert!(turn(&gate, "145").is_some(), "its turn is over, though its connection is not back yet");
        drop(first);
        assert!(gate.turns.lock().is_empty(), "an empty line is removed");
    }

    #[test]
    fn a_call_whose_turn_another_process_has_keeps_its_place_and_no_connection() {
        let gate = Gate::new(10);
        let mut held: Vec<_> = (0..5).map(|project| turn(&gate, &project.to_string()).unwrap()).collect();
        assert!(turn(&gate, "145").is_none(), "all connections for turns are taken");
        let mut first = held.remove(0);
        let place = first.keep_place();
        drop(first);
        assert!(turn(&gate, "0").is_none(), "another has the place");
        let other = turn(&gate, "145").unwrap();
        assert_eq!(now(gate.proceed_to_turn(place)).map(drop), None, "another has the connection");
        drop(other);
        assert!(turn(&gate, "0").is_some(), "it was dropped while it waited, and has left the line");
    }

    #[test]
    fn turns_of_all_projects_leave_connections_for_writes_and_reads() {
        for (connections, turns, writes) in [(1, 1, 1), (2, 1, 1), (3, 1, 2), (5, 2, 4), (10, 5, 8), (100, 50, 80)] {
            let gate = Gate::new(connections);
            let mut held: Vec<_> = (0..200).map_while(|project| turn(&gate, &project.to_string())).collect();
            assert_eq!(held.len(), turns, "{connections} connections");
            held.extend((0..200).map_while(|project| write(&gate, &project.to_string())));
            assert_eq!(held.len(), writes, "{connections} connections");
        }
    }

    #[test]
    fn a_call_that_is_dropped_while_it_waits_leaves_nothing_behind() {
        let gate = Gate::new(10);
        let first = turn(&gate, "145").unwrap();
        {
            let mut waiting: Vec<_> = (1..IN_LINE).map(|_| Box::pin(gate.turn("145"))).collect();
            for waiting in &mut waiting {
                assert!(now(waiting.as_mut()).is_none());
            }
            let refused = now(gate.turn("145")).unwrap().err().unwrap();
            assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
            assert!(turn(&gate, "146").is_some(), "another line is not full");
        }
        assert_eq!(gate.turns.lock()["145"].calls, 1);
        drop(first);
        assert!(gate.turns.lock().is_empty());
        assert_eq!(gate.of_turns.available_permits(), 5);
        assert_eq!(gate.of_writers.available_permits(), 8);
    }

    #[test]
    fn counting_waits_for_no_turn() {
        let gate = Gate::new(10);
        let _turn = turn(&gate, "145").unwrap();
        let mut counts: Vec<_> = (0..10).map_while(|_| count(&gate, "145")).collect();
        assert_eq!(counts.len(), COUNTING);
        counts.push(count(&gate, "146").unwrap());
        assert!(count(&gate, "147").is_none(), "the share of all projects is taken");
        counts.pop();
        assert!(count(&gate, "147").is_some());
    }
}
