//! A writer for `tracing-subscriber` that redacts tokens.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::finder::Finder;
use super::redactor::Redactor;

/// A [`MakeWriter`] for a layer of `tracing-subscriber`. It creates writers that pass each event
/// through a [`Redactor`].
///
/// ```
/// use keyfob::{Prefix, leak::{Finder, RedactedLog}};
///
/// let finder = Finder::new([Prefix::new("acme_pat")?]);
/// let log = RedactedLog::new(&finder, std::io::stderr);
/// let caught = log.clone();
/// let subscriber = tracing_subscriber::fmt().with_writer(log).finish();
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::warn!(
///         "seen: acme_pat_145_00123456789ABCDE_\
///          AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o"
///     );
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
    /// Creates a log that writes to `inner`: a function that returns a writer, such as
    /// [`std::io::stderr`], or any other [`MakeWriter`].
    pub fn new(finder: &Finder, inner: M) -> Self {
        Self { finder: finder.clone(), inner, caught: Arc::default() }
    }

    /// Returns how many secret tails of tokens this log and its clones have replaced. If the number
    /// is above zero, find the line of code that logs tokens, and fix it.
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

/// The writer of one event.
///
/// A layer of `tracing-subscriber` calls `write_all` once for each event. `write_all` passes the
/// event to the inner writer in one piece, so that the lines of several threads do not mix. If the
/// inner writer fails, `write_all` returns the error. Bytes that are passed to `write` are
/// collected until this writer is flushed or dropped.
#[derive(Debug)]
pub struct RedactedLine<W: Write> {
    redactor: Redactor<Vec<u8>>,
    inner: W,
}

impl<W: Write> RedactedLine<W> {
    fn hand_on(&mut self) -> io::Result<()> {
        // A failed write is not repeated, because the inner writer may already have written a part
        // of the line.
        let line = self.redactor.take();
        if line.is_empty() { Ok(()) } else { self.inner.write_all(&line) }
    }
}

impl<W: Write> Write for RedactedLine<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.redactor.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.redactor.write_all(bytes)?;
        self.hand_on()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for RedactedLine<W> {
    fn drop(&mut self) {
        // `drop` cannot return an error. `write_all` and `flush` return it.
        let _ = self.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing::Level;
    use tracing_subscriber::fmt::{Subscriber, SubscriberBuilder};

    use super::*;
    use crate::words::ids::Prefix;

    const TOKEN: &str = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o";
    const REDACTED: &str = "acme_pat_145_00123456789ABCDE_…";

    /// The recorded calls of a writer, each with the level for which the writer was created.
    #[derive(Clone, Default)]
    struct Calls(Arc<Mutex<Vec<String>>>);

    struct Writer {
        calls: Calls,
        level: Option<Level>,
    }

    impl Calls {
        fn taken(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }

        fn note(&self, call: &str, level: Option<Level>) {
            self.0.lock().unwrap().push(format!("{call} {}", level.map_or("-".into(), |level| level.to_string())));
        }
    }

    impl<'w> MakeWriter<'w> for Calls {
        type Writer = Writer;

        fn make_writer(&'w self) -> Writer {
            Writer { calls: self.clone(), level: None }
        }

        fn make_writer_for(&'w self, meta: &Metadata<'_>) -> Writer {
            Writer { calls: self.clone(), level: Some(*meta.level()) }
        }
    }

    impl Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes == b"full\n" {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.calls.note(std::str::from_utf8(bytes).unwrap().trim_end(), self.level);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.calls.note("flush", self.level);
            Ok(())
        }
    }

    fn log() -> (RedactedLog<Calls>, Calls) {
        let calls = Calls::default();
        (RedactedLog::new(&Finder::new([Prefix::new("acme_pat").unwrap()]), calls.clone()), calls)
    }

    fn subscriber(log: RedactedLog<Calls>) -> impl tracing::Subscriber {
        let builder: SubscriberBuilder = Subscriber::builder();
        builder.without_time().with_level(false).with_target(false).with_ansi(false).with_writer(log).finish()
    }

    #[test]
    fn an_event_is_written_in_one_call_without_its_secret_and_with_its_level() {
        let (log, calls) = log();
        tracing::subscriber::with_default(subscriber(log.clone()), || {
            tracing::warn!(token = TOKEN, "who wrote {TOKEN}, twice");
            tracing::error!("nobody");
        });
        assert_eq!(
            calls.taken(),
            [format!("who wrote {REDACTED}, twice token=\"{REDACTED}\" WARN"), "nobody ERROR".to_owned()]
        );
        assert_eq!(log.caught(), 2);
    }

    #[test]
    fn a_token_ends_with_its_event() {
        let (log, calls) = log();
        log.make_writer().write_all(&TOKEN.as_bytes()[..40]).unwrap();
        log.make_writer().write_all(b"AAAA").unwrap();
        assert_eq!(calls.taken(), [format!("{REDACTED} -"), "AAAA -".to_owned()]);
    }

    #[test]
    fn pieces_are_collected_until_they_are_flushed_or_dropped() {
        let (log, calls) = log();
        let mut line = log.make_writer();
        // The first call takes the public part. The next calls take parts of the secret tail.
        let mut rest = TOKEN.as_bytes();
        while !rest.is_empty() {
            let taken = line.write(&rest[..rest.len().min(40)]).unwrap();
            rest = &rest[taken..];
        }
        assert!(calls.taken().is_empty());
        line.flush().unwrap();
        assert_eq!(calls.taken(), [format!("{REDACTED} -"), "flush -".to_owned()]);
        assert_eq!(line.write(b"more").unwrap(), 4);
        drop(line);
        assert_eq!(calls.taken(), ["more -"]);
    }

    #[test]
    fn an_error_of_the_inner_writer_is_returned() {
        let (log, _calls) = log();
        let mut line = log.make_writer();
        assert_eq!(line.write_all(b"full\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        // This line is lost, but the next one is written.
        line.write_all(b"next\n").unwrap();
        assert_eq!(line.write(b"full\n").unwrap(), 5);
        assert_eq!(line.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
