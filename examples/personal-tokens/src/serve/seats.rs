//! Counts connections, and chooses the connection that is closed to make room for a new one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The state of a connection.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Phase {
    /// The connection has waited for the headers of a request since this time.
    Headers(Instant),
    /// The request has waited for its body since this time.
    Body(Instant),
    /// The request has waited in a queue of the service since this time.
    Queued(Instant),
    /// The request is being handled, or the response is being sent.
    Working,
    /// The connection is being closed.
    Cut,
}

/// The seats of the service. Each connection takes one seat, so the number of seats is the maximum
/// number of connections.
pub(super) struct Seats {
    most: usize,
    /// The maximum number of requests in progress. Only a request for `/health/live` may exceed it.
    /// The other seats are for connections without a request, which can be closed for new
    /// connections.
    most_begun: usize,
    at_least: Duration,
    taken: Mutex<Taken>,
    /// Notified when a seat becomes free, or when the connection of a seat begins to wait.
    changed: Notify,
}

#[derive(Default)]
struct Taken {
    next: u64,
    by_number: BTreeMap<u64, Holder>,
}

struct Holder {
    phase: Phase,
    cut: Arc<Notify>,
}

/// The time at which [`Seats::take`] looks again for a free seat.
enum Room {
    /// The time at which the next connection may be closed. Until then, no connection has waited
    /// long enough.
    At(Instant),
    /// The time at which a seat becomes free or a connection begins to wait. Until then, no
    /// further connection is closed, because one is already being closed or because none waits.
    Later,
}

impl Taken {
    /// Returns the number of connections with a request in progress.
    fn begun(&self) -> usize {
        let has_begun = |phase| matches!(phase, Phase::Body(_) | Phase::Queued(_) | Phase::Working);
        self.by_number.values().filter(|holder| has_begun(holder.phase)).count()
    }

    /// Closes the connection that has waited longest, if it has waited for `at_least`. Closes none
    /// while another connection is being closed. Returns when to look again for a free seat.
    fn make_room(&mut self, now: Instant, at_least: Duration) -> Room {
        let holders = || self.by_number.values().map(|holder| holder.phase);
        if holders().any(|phase| phase == Phase::Cut) {
            return Room::Later;
        }
        let longest = |since: fn(Phase) -> Option<Instant>| {
            let waiting = self.by_number.iter().filter_map(|(number, holder)| Some((since(holder.phase)?, *number)));
            waiting.min()
        };
        let for_headers = longest(|phase| if let Phase::Headers(since) = phase { Some(since) } else { None });
        let within_request =
            || longest(|phase| if let Phase::Body(since) | Phase::Queued(since) = phase { Some(since) } else { None });
        let Some((since, number)) = for_headers.or_else(within_request) else { return Room::Later };
        if since + at_least > now {
            return Room::At(since + at_least);
        }
        let holder = self.by_number.get_mut(&number).expect("the number is of this map, which is locked");
        holder.phase = Phase::Cut;
        holder.cut.notify_one();
        Room::Later
    }
}

impl Seats {
    pub(super) fn new(most: usize, at_least: Duration) -> Self {
        let most = most.max(1);
        Self { most, most_begun: most - most / 32, at_least, taken: Mutex::default(), changed: Notify::new() }
    }

    // No code here panics while it holds the lock.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a seat. If all seats are taken, closes a connection and waits for its seat. Only one
    /// task may call this function at a time.
    pub(super) async fn take(self: &Arc<Self>) -> Seat {
        loop {
            let room = {
                let mut taken = self.taken();
                if taken.by_number.len() < self.most {
                    return self.seat(&mut taken);
                }
                taken.make_room(Instant::now(), self.at_least)
            };
            match room {
                Room::Later => self.changed.notified().await,
                Room::At(time) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(time) => {}
                },
            }
        }
    }

    fn seat(self: &Arc<Self>, taken: &mut Taken) -> Seat {
        let (number, cut) = (taken.next, Arc::new(Notify::new()));
        taken.next += 1;
        taken.by_number.insert(number, Holder { phase: Phase::Headers(Instant::now()), cut: Arc::clone(&cut) });
        Seat { seats: Arc::clone(self), number, cut, has_begun: AtomicBool::new(false) }
    }

    /// Closes the connection that has waited longest, if it has waited long enough.
    pub(super) fn make_room(&self, now: Instant) {
        self.taken().make_room(now, self.at_least);
    }

    /// Sets the phase of a seat if `before` accepts the current phase. Returns whether it was set.
    fn go_on(&self, number: u64, before: fn(Phase) -> bool, phase: Phase) -> bool {
        let mut taken = self.taken();
        let is_full = taken.by_number.len() >= self.most;
        let holder = taken.by_number.get_mut(&number).expect("a seat is in the map until it is dropped");
        if !before(holder.phase) {
            return false;
        }
        holder.phase = phase;
        drop(taken);
        // `take` may wait for this seat.
        if is_full && phase != Phase::Working {
            self.changed.notify_one();
        }
        true
    }
}

/// The seat of one connection. Dropping it frees the seat.
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    cut: Arc<Notify>,
    has_begun: AtomicBool,
}

impl Seat {
    /// Returns whether the connection has ever begun a request.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Waits until the connection has to be closed.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }

    /// Marks that the headers of a request are complete.
    ///
    /// # Errors
    /// Returns [`NoTurn::Cut`] if the connection is being closed. Returns [`NoTurn::Busy`] if too
    /// many requests are in progress and `is_for_health` is `false`.
    pub(super) fn begin(self: &Arc<Self>, is_for_health: bool) -> Result<Turn, NoTurn> {
        self.has_begun.store(true, Ordering::Relaxed);
        let is_free = |phase| matches!(phase, Phase::Headers(_));
        if !is_for_health && self.seats.taken().begun() >= self.seats.most_begun {
            return Err(NoTurn::Busy);
        }
        let begins = self.seats.go_on(self.number, is_free, Phase::Working);
        begins.then(|| Turn(Arc::clone(self))).ok_or(NoTurn::Cut)
    }

    /// Marks that the request has waited for its body since this time.
    pub(super) fn wait_for_body(&self, since: Instant) {
        self.seats.go_on(self.number, |phase| phase == Phase::Working, Phase::Body(since));
    }

    /// Records that the request waits in a queue of the service, and since when it waits.
    pub(super) fn wait_in_queue(&self, since: Instant) {
        self.seats.go_on(self.number, |phase| phase == Phase::Working, Phase::Queued(since));
    }

    /// Marks that the service works on the request. Before, the request waited for its body to
    /// arrive or for its turn in a queue.
    pub(super) fn work(&self) {
        let is_waiting = |phase| matches!(phase, Phase::Body(_) | Phase::Queued(_));
        self.seats.go_on(self.number, is_waiting, Phase::Working);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().by_number.remove(&self.number);
        self.seats.changed.notify_one();
    }
}

/// The reason why a request may not begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoTurn {
    Cut,
    Busy,
}

/// A request in progress. When it is dropped, its connection waits for the next request.
pub(super) struct Turn(Arc<Seat>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.seats.go_on(self.0.number, |phase| phase != Phase::Cut, Phase::Headers(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_LEAST: Duration = Duration::from_millis(50);
    const MS: Duration = Duration::from_millis(1);

    fn seats(most: usize) -> Arc<Seats> {
        Arc::new(Seats::new(most, AT_LEAST))
    }

    /// Returns whether the connection has to be closed.
    async fn is_cut(seat: &Seat) -> bool {
        tokio::time::timeout(MS, seat.cut()).await.is_ok()
    }

    #[tokio::test]
    async fn connection_that_waited_longest_for_headers_is_cut() {
        let seats = seats(3);
        let first = Arc::new(seats.take().await);
        tokio::time::sleep(MS).await;
        let second = seats.take().await;
        tokio::time::sleep(MS).await;
        let third = Arc::new(seats.take().await);
        // The first connection is working, so the second one has waited longest.
        let turn = first.begin(false).expect("it is not cut");
        let taking = tokio::spawn({
            let seats = Arc::clone(&seats);
            async move { seats.take().await }
        });
        second.cut().await;
        assert!(!is_cut(&first).await && !is_cut(&third).await && !taking.is_finished());
        // Only one connection is closed at a time.
        seats.make_room(Instant::now() + AT_LEAST);
        assert!(!is_cut(&third).await);
        drop(second);
        let fourth = taking.await.expect("it does not panic");
        // The first connection has only now begun to wait for its next request.
        drop(turn);
        assert_eq!(seats.taken().by_number.len(), 3);
        seats.make_room(Instant::now() + AT_LEAST);
        assert!(is_cut(&third).await && !is_cut(&first).await && !is_cut(&fourth).await);
        // A connection that is being closed begins no request.
        assert!(matches!(third.begin(false), Err(NoTurn::Cut)));
    }

    #[tokio::test]
    async fn no_connection_is_cut_before_the_least_time() {
        let seats = seats(1);
        let before = Instant::now();
        let seat = seats.take().await;
        seats.make_room(before + AT_LEAST - MS);
        assert!(!is_cut(&seat).await);
        seats.make_room(Instant::now() + AT_LEAST);
        assert!(is_cut(&seat).await);
    }

    #[tokio::test]
    async fn connection_that_waits_for_a_body_is_cut_only_if_none_waits_for_headers() {
        let seats = seats(2);
        let (uploading, idle) = (Arc::new(seats.take().await), seats.take().await);
        let _turn = uploading.begin(false).expect("it is not cut");
        uploading.wait_for_body(Instant::now());
        seats.make_room(Instant::now() + AT_LEAST);
        assert!(is_cut(&idle).await && !is_cut(&uploading).await);
        drop(idle);
        seats.make_room(Instant::now() + AT_LEAST);
        assert!(is_cut(&uploading).await);
    }

    #[tokio::test]
    async fn connection_that_waits_in_a_queue_is_cut_if_it_has_waited_longer_than_those_for_a_body() {
        let seats = seats(3);
        let connections = [seats.take().await, seats.take().await, seats.take().await].map(Arc::new);
        let [queued, uploading, working] = &connections;
        let _turns = connections.each_ref().map(|seat| seat.begin(false).expect("it is not cut"));
        let now = Instant::now();
        queued.wait_in_queue(now);
        uploading.wait_for_body(now + MS);
        seats.make_room(now + AT_LEAST - MS);
        assert!(!is_cut(queued).await);
        seats.make_room(now + AT_LEAST);
        assert!(is_cut(queued).await && !is_cut(uploading).await && !is_cut(working).await);
    }

    #[tokio::test]
    async fn connection_that_has_left_a_queue_is_not_cut() {
        let seats = seats(1);
        let seat = Arc::new(seats.take().await);
        let _turn = seat.begin(false).expect("it is not cut");
        seat.wait_in_queue(Instant::now());
        seat.work();
        seats.make_room(Instant::now() + AT_LEAST);
        assert!(!is_cut(&seat).await);
    }

    #[tokio::test]
    async fn no_connection_is_cut_while_all_are_working() {
        let seats = seats(1);
        let seat = Arc::new(seats.take().await);
        let turn = seat.begin(false).expect("it is not cut");
        let mut taking = std::pin::pin!(seats.take());
        assert!(tokio::time::timeout(2 * AT_LEAST, &mut taking).await.is_err() && !is_cut(&seat).await);
        drop(turn);
        assert!(tokio::time::timeout(2 * AT_LEAST, &mut taking).await.is_err());
        assert!(is_cut(&seat).await);
        drop(seat);
        assert!(tokio::time::timeout(2 * AT_LEAST, &mut taking).await.is_ok());
    }

    #[tokio::test]
    async fn one_seat_in_32_is_left_to_connections_without_a_request_and_to_health() {
        let seats = seats(32);
        let mut connections = Vec::new();
        for _ in 0..32 {
            connections.push(Arc::new(seats.take().await));
        }
        let mut turns: Vec<_> =
            connections[..31].iter().map(|seat| seat.begin(false).expect("it is not busy")).collect();
        connections[0].wait_in_queue(Instant::now());
        connections[1].wait_for_body(Instant::now());
        assert!(matches!(connections[31].begin(false), Err(NoTurn::Busy)));
        assert!(connections[31].begin(true).is_ok());
        turns.pop();
        assert!(connections[31].begin(false).is_ok());
    }
}
