//! The turns of operations that wait for each other, in one process.

use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::words::ids::ProjectId;

/// The queues of operations, one for each project in which operations wait. The first operation of
/// a queue has the turn.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    queues: HashMap<ProjectId, VecDeque<Place>>,
    next: u64,
}

#[derive(Debug)]
struct Place {
    number: u64,
    waker: Option<Waker>,
}

/// The place of an operation in a queue. When it is dropped, the next operation has the turn.
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    project: ProjectId,
    number: u64,
}

impl Turns {
    /// Waits for the turn of a project.
    pub(super) async fn take(&self, project: ProjectId) -> Turn<'_> {
        let turn = self.enter(project);
        poll_fn(|context| if turn.is_first(context.waker()) { Poll::Ready(()) } else { Poll::Pending }).await;
        turn
    }

    fn enter(&self, project: ProjectId) -> Turn<'_> {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.queues.entry(project).or_default().push_back(Place { number, waker: None });
        Turn { turns: self, project, number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Returns whether this place is the first of its queue. If not, wakes this waker when it is.
    fn is_first(&self, waker: &Waker) -> bool {
        let mut state = self.turns.lock();
        let queue = state.queues.get_mut(&self.project).expect("a queue exists while it has a place");
        if queue.front().is_some_and(|first| first.number == self.number) {
            return true;
        }
        let own = queue.iter_mut().find(|place| place.number == self.number);
        own.expect("a place is in its queue until it is dropped").waker = Some(waker.clone());
        false
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        let queue = state.queues.get_mut(&self.project).expect("a queue exists while it has a place");
        queue.retain(|place| place.number != self.number);
        // If this place was not the first, the operation that is woken finds that it still waits.
        let next = queue.front_mut().and_then(|first| first.waker.take());
        if queue.is_empty() {
            state.queues.remove(&self.project);
        }
        drop(state);
        if let Some(next) = next {
            next.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::task::Context;

    use super::*;

    #[test]
    fn turns_are_taken_in_order_and_a_dropped_place_is_skipped() {
        let (turns, project) = (Turns::default(), ProjectId::new("145").unwrap());
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(turns.take(project));
        let Poll::Ready(turn) = first.as_mut().poll(&mut context) else { panic!("the queue is empty") };
        let mut second = Box::pin(turns.take(project));
        let mut third = pin!(turns.take(project));
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        let mut other = pin!(turns.take(ProjectId::new("146").unwrap()));
        assert!(other.as_mut().poll(&mut context).is_ready(), "another project has a queue of its own");
        drop(second);
        drop(turn);
        assert!(third.as_mut().poll(&mut context).is_ready());
        assert_eq!(turns.lock().queues.len(), 0, "an empty queue is removed");
    }
}
