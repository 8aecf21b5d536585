//! Functions that run several calls concurrently in one task, or drop a call midway. They work with
//! any executor.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

/// The number of rounds in which a case repeats a race. If a store fails one round in ten, a run
/// finds the fault with a probability of 92 %.
pub(super) const ROUNDS: usize = 24;

/// Runs all calls concurrently, and returns their results in order.
pub(super) async fn all<F: Future>(calls: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut calls: Vec<_> = calls.into_iter().map(|call| (Box::pin(call), None)).collect();
    poll_fn(|context| {
        let mut waiting = false;
        for (call, answer) in &mut calls {
            if answer.is_none() {
                match call.as_mut().poll(context) {
                    Poll::Ready(ready) => *answer = Some(ready),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    calls.into_iter().filter_map(|(_, answer)| answer).collect()
}

/// Runs two calls concurrently. In odd rounds, the second call starts first.
pub(super) async fn both<A: Future, B: Future>(round: usize, a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut from_a, mut from_b) = (None, None);
    poll_fn(move |context| {
        for turn in 0..2 {
            if (turn + round).is_multiple_of(2) {
                if from_a.is_none()
                    && let Poll::Ready(answer) = a.as_mut().poll(context)
                {
                    from_a = Some(answer);
                }
            } else if from_b.is_none()
                && let Poll::Ready(answer) = b.as_mut().poll(context)
            {
                from_b = Some(answer);
            }
        }
        match (from_a.take(), from_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (from_a, from_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// Polls a call at most `polls` times and then drops it, as a server does if its client
/// disconnects. Returns whether the call completed before it was dropped.
pub(super) async fn cut<F: Future>(polls: usize, call: F) -> bool {
    let mut call = Box::pin(call);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            // The waker of the call polls it once more, before it is dropped.
            Poll::Pending if left > 0 => Poll::Pending,
            Poll::Pending => Poll::Ready(false),
        }
    })
    .await
}
