//! Two handles on one engine, as one store.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::forward::forward_stores;

/// Two handles on one engine, as one store: the calls go to the first and the second handle in
/// turn.
///
/// So a read that follows a write goes to the other handle, and two concurrent calls use both
/// handles. Use it to run the laws of [`shared`](super::shared()) with
/// [`for_each_law!`](super::for_each_law).
#[derive(Debug)]
pub struct Handles<A, B> {
    first: A,
    second: B,
    calls: AtomicUsize,
}

impl<A, B> Handles<A, B> {
    /// Creates a store from two handles on one engine. Each handle needs its own connections and
    /// its own cache, as two processes have.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second, calls: AtomicUsize::new(0) }
    }

    /// Returns whether the next call goes to the first handle.
    fn is_first(&self) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
    }
}

macro_rules! in_turn {
    ($self:ident, $call:ident($($argument:ident),*)) => {
        if $self.is_first() {
            $self.first.$call($($argument),*).await
        } else {
            $self.second.$call($($argument),*).await
        }
    };
}

macro_rules! held_in_turn {
    ($self:ident, $call:ident($argument:ident)) => {
        if $self.is_first() { $self.first.$call($argument) } else { $self.second.$call($argument) }
    };
}

forward_stores! { [A, B] Handles<A, B>, in_turn, held_in_turn }
