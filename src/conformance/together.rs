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

/// The number of delays that [`both`] tries, in polls.
const DELAYS: usize = 6;

/// Runs two calls concurrently. In odd rounds, the second call starts first.
///
/// The other call starts after the first one was polled a number of times, which differs from round
/// to round. So it meets each of the first statements of the first call. If the first call ends
/// earlier, the other one starts then.
pub(super) async fn both<A: Future, B: Future>(round: usize, a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut from_a, mut from_b) = (None, None);
    let (is_a_first, delay, mut polls) = (round.is_multiple_of(2), round / 2 % DELAYS, 0);
    poll_fn(move |context| {
        for turn in 0..2 {
            let has_first_ended = if is_a_first { from_a.is_some() } else { from_b.is_some() };
            if turn == 1 && polls <= delay && !has_first_ended {
                break;
            }
            if (turn == 0) == is_a_first {
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
            polls += usize::from(turn == 0);
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

/// Lets other futures of the task run once.
pub(super) async fn pause() {
    let mut has_waited = false;
    poll_fn(move |context| {
        if has_waited {
            return Poll::Ready(());
        }
        has_waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
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
