//! A writer that lets no secret through.

use core::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::finder::{Finder, tail_in};
use super::heads::{AT_ONCE, Behind};
use crate::words::format::TAIL;

/// What stands in place of a tail.
const MARK: &[u8] = "…".as_bytes();

/// A writer that writes `…` in place of the tail of everything that looks like a token of the finder's prefixes: behind a prefix, a
/// project and an id, all letters and digits up to 50, with a right checksum or a wrong one, whole or cut off. Nothing else changes, and nothing is held back: what is left of the tail is public,
/// and goes on at once. A token may be cut anywhere by the writes.
///
/// ```
/// use std::io::Write;
///
/// use keyfob::{Prefix, leak::{Finder, Redactor}};
///
/// let mut log = Redactor::new(&Finder::new([Prefix::new("acme_pat")?]), Vec::new());
/// log.write_all(b"401 for acme_pat_145_00123456789ABCDE_AAAAAAAAAA")?;
/// log.write_all(b"AAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o, try again")?;
/// assert_eq!(log.caught(), 1);
/// assert_eq!(log.into_inner(), "401 for acme_pat_145_00123456789ABCDE_…, try again".as_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Not claimed: text that was changed on its way, such as by base64, by compression or by writing it in capitals; a tail whose front is
/// cut off or mistyped; what of a tail stands behind a character that none has, such as the end of a line; the texts of imported tokens.
pub struct Redactor<W> {
    finder: Finder,
    inner: W,
    behind: Behind,
    /// How many characters may still be of a tail, if this is one.
    tail_left: usize,
    /// Whether the mark is written for it.
    marked: bool,
    /// Of a mark, what the inner writer has not taken yet.
    owed: &'static [u8],
    caught: Arc<AtomicU64>,
}

impl<W> Redactor<W> {
    /// A writer before `inner`.
    pub fn new(finder: &Finder, inner: W) -> Self {
        Self::counting(finder, inner, Arc::default())
    }

    /// The same, which counts where others do.
    pub(super) fn counting(finder: &Finder, inner: W, caught: Arc<AtomicU64>) -> Self {
        Self {
            finder: finder.clone(),
            inner,
            behind: Behind::nothing(),
            tail_left: 0,
            marked: false,
            owed: &[],
            caught,
        }
    }

    /// How many tails it has replaced.
    pub fn caught(&self) -> u64 {
        self.caught.load(Ordering::Relaxed)
    }

    /// The writer behind it.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// Gives the writer behind it back.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

#[cfg(feature = "tracing-subscriber")]
impl Redactor<Vec<u8>> {
    /// What was written so far. A tail that has begun goes on.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.inner)
    }
}

impl<W: Write> Redactor<W> {
    fn pay(&mut self) -> io::Result<()> {
        while !self.owed.is_empty() {
            match self.inner.write(self.owed) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.owed = &self.owed[written.min(self.owed.len())..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for Redactor<W> {
    /// Takes as much as it can tell the nature of at once, as writers may; an error means that nothing was taken.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pay()?;
        if self.tail_left > 0 && !bytes.is_empty() {
            let tail = tail_in(bytes, self.tail_left);
            if tail > 0 {
                if !self.marked {
                    (self.marked, self.owed) = (true, MARK);
                    self.caught.fetch_add(1, Ordering::Relaxed);
                    self.pay()?;
                }
                self.tail_left = if tail < bytes.len() { 0 } else { self.tail_left - tail };
                self.behind.pass(&bytes[..tail]);
                return Ok(tail);
            }
        }
        let block = &bytes[..bytes.len().min(AT_ONCE)];
        let head = self.behind.next_head(&self.finder.needles, block);
        let end = head.as_ref().map_or(block.len(), |head| head.end);
        let written = self.inner.write(&block[..end])?.min(end);
        self.behind.pass(&block[..written]);
        if head.is_some() && written == end {
            (self.tail_left, self.marked) = (TAIL, false);
        } else if written > 0 {
            self.tail_left = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pay()?;
        self.inner.flush()
    }
}

impl<W> fmt::Debug for Redactor<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("caught", &self.caught()).finish_non_exhaustive()
    }
}
