//! The clocks that return the current time. The code in the layer `rules` never reads a clock. The
//! callers of that code pass the current time as an argument.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use super::timestamp::Timestamp;

/// A source of the current time.
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock for services that verify hundreds of thousands of tokens per second. A thread of its own
/// reads the clock of the system once in a millisecond, the precision of a [`Timestamp`]. All
/// clones of a clock share this thread, which ends after the last of them is dropped.
///
/// Reading this clock is one read of memory. In return, its time lags behind by a millisecond, and
/// by more if the thread gets no processor time. For as long as it lags, a token is accepted after
/// its expiry or after the end of its grace period. The lag does not delay a revocation.
///
/// A process that was forked does not have the thread, so this clock stands still in it. Start the
/// clock after the fork.
///
/// ```
/// use keyfob::{Clock, clock::CoarseClock};
///
/// let clock = CoarseClock::start()?;
/// let first = clock.now();
/// # let started = std::time::Instant::now();
/// while clock.now() == first {
///     std::thread::yield_now();
///     # assert!(started.elapsed().as_secs() < 60);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CoarseClock(Arc<AtomicI64>);

impl CoarseClock {
    /// Starts the thread of a new clock.
    ///
    /// # Errors
    /// Returns the error of the operating system if it cannot start a thread.
    pub fn start() -> io::Result<Self> {
        const PAUSE: Duration = Duration::from_millis(1);
        let clock = Self(Arc::new(AtomicI64::new(SystemClock.now().as_unix_millis())));
        let time = Arc::downgrade(&clock.0);
        std::thread::Builder::new().name("keyfob-clock".to_owned()).spawn(move || {
            while let Some(time) = time.upgrade() {
                time.store(SystemClock.now().as_unix_millis(), Ordering::Relaxed);
                drop(time);
                std::thread::sleep(PAUSE);
            }
        })?;
        Ok(clock)
    }
}

impl Clock for CoarseClock {
    fn now(&self) -> Timestamp {
        Timestamp::clamped(self.0.load(Ordering::Relaxed))
    }
}

/// A clock for tests. Its time changes only when [`set`](Self::set) or [`advance`](Self::advance)
/// is called. All clones of a clock have the same time.
#[derive(Clone, Debug)]
pub struct FixedClock(Arc<AtomicI64>);

impl FixedClock {
    /// Creates a clock whose time is `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.as_unix_millis())))
    }

    /// Sets the time to `now`, which may be earlier than the current time of this clock.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_unix_millis(), Ordering::SeqCst);
    }

    /// Moves the time forward by `by`, at most to [`Timestamp::MAX`].
    pub fn advance(&self, by: Duration) {
        self.set(self.now().saturating_add(by));
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst)).expect("only timestamps are put into it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarse_clock_follows_the_system_and_its_thread_ends() {
        let clock = CoarseClock::start().unwrap();
        let (before, other) = (SystemClock.now(), clock.clone());
        let started = std::time::Instant::now();
        while clock.now() <= before {
            std::thread::yield_now();
            assert!(started.elapsed() < Duration::from_secs(60), "the clock stands still");
        }
        assert!(clock.now() <= SystemClock.now().saturating_add(Duration::from_secs(60)));
        let time = Arc::downgrade(&clock.0);
        drop(clock);
        assert!(other.now() > before);
        drop(other);
        while time.strong_count() > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn clones_share_one_time() {
        let clock = FixedClock::new(Timestamp::UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(Duration::from_secs(1));
        assert_eq!(other.now().as_unix_millis(), 1000);
        other.set(Timestamp::MIN);
        assert_eq!(clock.now(), Timestamp::MIN);
        clock.set(Timestamp::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
