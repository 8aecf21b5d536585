//! What each task of a test is doing, for the message of a wait that fails.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The step of each task. Its Display lists them.
#[derive(Default)]
pub struct Notes(Mutex<BTreeMap<String, Note>>);

struct Note {
    step: String,
    /// When it was noted first and last, if the same step was noted again and again.
    since: Instant,
    last: Instant,
    times: u64,
}

impl Notes {
    /// Replaces the note of a task.
    pub fn set(&self, task: &str, step: impl Into<String>) {
        let (step, now) = (step.into(), Instant::now());
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match notes.get_mut(task) {
            Some(note) if note.step == step => {
                note.last = now;
                note.times += 1;
            }
            Some(note) => *note = Note { step, since: now, last: now, times: 1 },
            None => drop(notes.insert(task.to_owned(), Note { step, since: now, last: now, times: 1 })),
        }
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (task, note) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let Note { step, since, last, times } = note;
            write!(f, "  {task}: {step}, for {:.1?}", since.elapsed())?;
            match times {
                1 => writeln!(f)?,
                times => writeln!(f, "; {times} times, the last {:.1?} ago", last.elapsed())?,
            }
        }
        Ok(())
    }
}
