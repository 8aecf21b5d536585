//! What each task of a test is doing, for the message of a wait that fails.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The step of each task, and since when. Its Display lists them.
#[derive(Default)]
pub struct Notes(Mutex<BTreeMap<String, (Instant, String)>>);

impl Notes {
    /// Replaces the note of a task.
    pub fn set(&self, task: &str, step: impl Into<String>) {
        let note = (Instant::now(), step.into());
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match notes.get_mut(task) {
            Some(kept) => *kept = note,
            None => drop(notes.insert(task.to_owned(), note)),
        }
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (task, (since, step)) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            writeln!(f, "  {task}: {step} (for {:.1?})", since.elapsed())?;
        }
        Ok(())
    }
}
