//! Notes about the current step of each task in a test. A wait that times out prints the notes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The current step of each task. Its `Display` form lists all tasks.
#[derive(Default)]
pub struct Notes(Mutex<BTreeMap<String, Note>>);

struct Note {
    step: String,
    /// The time at which this step was first noted. A task may note the same step many times.
    /// `last` is the time of the most recent note.
    since: Instant,
    last: Instant,
    times: u64,
}

impl Notes {
    /// Sets the current step of a task.
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
