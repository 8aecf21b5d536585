//! Mutations of SQL texts, for the tests of the conformance kit. One task replaces a piece of each
//! text by another piece.

use std::sync::atomic::{AtomicUsize, Ordering};

tokio::task_local! {
    static MUTATION: Mutation;
}

/// A replacement in the SQL texts of one task, with the number of texts that it has changed.
pub(in crate::adapters) struct Mutation {
    pub(in crate::adapters) from: &'static str,
    pub(in crate::adapters) to: &'static str,
    changed: AtomicUsize,
}

impl Mutation {
    /// Runs a future with this mutation. Returns the output of the future, and the number of SQL
    /// texts that were changed.
    pub(in crate::adapters) async fn run<F: Future>(
        from: &'static str,
        to: &'static str,
        future: F,
    ) -> (F::Output, usize) {
        let mutation = Self { from, to, changed: AtomicUsize::new(0) };
        let counted = async {
            let output = future.await;
            (output, MUTATION.with(|mutation| mutation.changed.load(Ordering::Relaxed)))
        };
        MUTATION.scope(mutation, counted).await
    }
}

/// Returns the text with the mutation of the current task.
pub(super) fn mutated(text: String) -> String {
    let mutate = |mutation: &Mutation| {
        if !text.contains(mutation.from) {
            return None;
        }
        mutation.changed.fetch_add(1, Ordering::Relaxed);
        Some(text.replace(mutation.from, mutation.to))
    };
    match MUTATION.try_with(mutate) {
        Ok(Some(mutated)) => mutated,
        // The task has no mutation, or the text has no such piece.
        Ok(None) | Err(_) => text,
    }
}
