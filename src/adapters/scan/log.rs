//! A writer for `tracing-subscriber` that lets no secret through.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::finder::Finder;
use super::redactor::Redactor;

/// Where a `tracing-subscriber` layer writes, behind a [`Redactor`] for each event.
///
/// ```
/// use keyfob::{Finder, Prefix, RedactedLog};
///
/// let log = RedactedLog::new(&Finder::new([Prefix::new("acme_pat")?]), std::io::stderr);
/// let caught = log.clone();
/// let subscriber = tracing_subscriber::fmt().with_writer(log).finish();
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::warn!("who wrote acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o?");
/// });
/// assert_eq!(caught.caught(), 1);
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone, Debug)]
pub struct RedactedLog<M> {
    finder: Finder,
    inner: M,
    caught: Arc<AtomicU64>,
}

impl<M> RedactedLog<M> {
    /// Writes to what `inner` makes: a function that gives a writer, such as [`std::io::stderr`], or any other [`MakeWriter`].
    pub fn new(finder: &Finder, inner: M) -> Self {
        Self { finder: finder.clone(), inner, caught: Arc::default() }
    }

    /// How many tails it, and all clones of it, have replaced. Anything above zero is a line of code to be found and mended.
    pub fn caught(&self) -> u64 {
        self.caught.load(Ordering::Relaxed)
    }
}

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for RedactedLog<M> {
    type Writer = RedactedLine<M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        self.line(self.inner.make_writer())
    }

    fn make_writer_for(&'w self, meta: &Metadata<'_>) -> Self::Writer {
        self.line(self.inner.make_writer_for(meta))
    }
}

impl<M> RedactedLog<M> {
    fn line<W: Write>(&self, inner: W) -> RedactedLine<W> {
        RedactedLine { redactor: Redactor::counting(&self.finder, Vec::new(), Arc::clone(&self.caught)), inner }
    }
}

/// The writer of one event, which is gathered and then written at once, so that the lines of several threads stay apart.
#[derive(Debug)]
pub struct RedactedLine<W: Write> {
    redactor: Redactor<Vec<u8>>,
    inner: W,
}

impl<W: Write> RedactedLine<W> {
    fn hand_on(&mut self) -> io::Result<()> {
        // What fails is not tried again: half a line behind a whole one helps nobody.
        let line = self.redactor.take();
        if line.is_empty() { Ok(()) } else { self.inner.write_all(&line) }
    }
}

impl<W: Write> Write for RedactedLine<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.redactor.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for RedactedLine<W> {
    fn drop(&mut self) {
        // As tracing-subscriber does with the errors of its writers.
        let _ = self.hand_on();
    }
}
