//! A writer that redacts tokens.

use core::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::finder::{Finder, tail_in};
use super::heads::{AT_ONCE, Behind};
use crate::words::format::TAIL;

/// The text that replaces the secret tail of a token.
const MARK: &[u8] = "…".as_bytes();

/// A writer that replaces the secret tail of each token with `…`, for tokens with the prefixes of a
/// [`Finder`].
///
/// The tail is the run of up to 50 letters and digits after a prefix, a project and an id. A tail
/// is replaced even if it is cut off or its checksum is wrong. All other bytes are written
/// unchanged and without delay. A token may be spread over any number of writes.
///
/// ```
/// use std::io::Write;
///
/// use keyfob::{Prefix, leak::{Finder, Redactor}};
///
/// let finder = Finder::new([Prefix::new("acme_pat")?]);
/// let mut log = Redactor::new(&finder, Vec::new());
/// log.write_all(b"401 for acme_pat_145_00123456789ABCDE_AAAAAAAAAA")?;
/// log.write_all(b"AAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o, try again")?;
/// assert_eq!(log.caught(), 1);
/// let redacted = "401 for acme_pat_145_00123456789ABCDE_…, try again";
/// assert_eq!(log.into_inner(), redacted.as_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The redactor does not replace:
/// - Tokens that were encoded or changed before they reach the redactor, such as by base64,
///   compression or upper-casing.
/// - A tail without the prefix, project and id before it, or with a typo in them.
/// - The rest of a tail after a character that cannot be part of a tail, such as a line break.
/// - The texts of imported tokens.
pub struct Redactor<W> {
    finder: Finder,
    inner: W,
    behind: Behind,
    /// The number of characters that may still belong to the current tail. The number is 0 if no
    /// tail is expected.
    tail_left: usize,
    /// Whether the mark was already written for the current tail.
    marked: bool,
    /// The part of a mark that must still be written to the inner writer. A mark is the text `…`,
    /// which replaces the secret tail of a token.
    owed: &'static [u8],
    caught: Arc<AtomicU64>,
}

impl<W> Redactor<W> {
    /// Creates a redactor that writes to `inner`.
    pub fn new(finder: &Finder, inner: W) -> Self {
        Self::counting(finder, inner, Arc::default())
    }

    /// Creates a redactor that counts the replaced tails in a shared counter.
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

    /// Returns the number of tails that the redactor has replaced. A tail is the secret part of a
    /// token.
    pub fn caught(&self) -> u64 {
        self.caught.load(Ordering::Relaxed)
    }

    /// Returns a reference to the inner writer.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// Returns the inner writer.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

#[cfg(feature = "tracing-subscriber")]
impl Redactor<Vec<u8>> {
    /// Removes all bytes from the inner writer, and returns them. If the bytes written so far end
    /// within the secret tail of a token, the next write continues this tail.
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
    /// Writes the start of `bytes`, up to the end of the next public part of a token. If `bytes`
    /// begins inside a secret tail, replaces this part of the tail instead. Returns how many of
    /// `bytes` were written or replaced. If the call fails, none were.
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
