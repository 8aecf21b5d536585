//! Limits the rate of the reports of leaks. Reporters are identified by their address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Client as Reporter;

/// A limit on the rate of reports: a burst of reports, and then one report per interval.
#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    every: Duration,
}

/// The rate limit for one reporter.
const OF_ONE: Rate = Rate { burst: 20, every: Duration::from_secs(3) };
/// The rate limit for all reporters together: five times the limit for one.
const OF_ALL: Rate = Rate { burst: 100, every: Duration::from_millis(600) };
/// The rate limit for one address that sends reports with false signatures. The same limit applies
/// separately to reports that name unknown keys.
const FALSE: Rate = Rate { burst: 10, every: Duration::from_secs(6) };
/// The maximum number of addresses whose reports with false signatures are counted. Reports that
/// name unknown keys are counted separately, for the same maximum number of addresses.
const MOST_FALSE: usize = 4096;

impl Rate {
    /// Returns the time to wait before the next report is allowed. Zero means no wait. `spent` is
    /// the time from which a full burst of reports is allowed again. It is `None` if no report was
    /// counted.
    fn wait(self, spent: Option<Instant>, now: Instant) -> Duration {
        let debt = spent.map_or(Duration::ZERO, |spent| spent.saturating_duration_since(now));
        debt.saturating_sub(self.every * (self.burst - 1))
    }

    /// Counts a report, and returns the new value of `spent`. `spent` is the time from which a
    /// whole burst of reports is allowed again. It is `None` before the first report.
    fn spend(self, spent: Option<Instant>, now: Instant) -> Instant {
        spent.map_or(now, |spent| spent.max(now)) + self.every
    }
}

/// The rate limits of all reporters. Reports that GitHub signed are not counted, and are never
/// delayed because of other reports.
#[derive(Default)]
pub struct Rates {
    spent: Mutex<Spent>,
}

#[derive(Default)]
struct Spent {
    by_all: Option<Instant>,
    by_one: HashMap<Option<Reporter>, Instant>,
    falsely: Doubtful,
    by_unknown_keys: Doubtful,
}

/// The addresses that sent possibly false reports in GitHub's name. For each address, the map holds
/// the time from which a whole burst of reports is allowed again.
#[derive(Default)]
struct Doubtful(HashMap<IpAddr, Instant>);

impl Doubtful {
    fn wait(&self, reporter: Option<Reporter>, now: Instant) -> Result<(), Duration> {
        let spent = address(reporter).and_then(|address| self.0.get(&address).copied());
        match FALSE.wait(spent, now) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    fn count(&mut self, reporter: Option<Reporter>, now: Instant) {
        let Some(address) = address(reporter) else { return };
        if self.0.len() >= MOST_FALSE {
            self.0.retain(|_, spent| *spent > now);
        }
        let known = self.0.get(&address).copied();
        // If an attacker has more addresses than `MOST_FALSE`, only the limit on bodies in memory
        // holds.
        if known.is_some() || self.0.len() < MOST_FALSE {
            self.0.insert(address, FALSE.spend(known, now));
        }
    }
}

/// Returns the address of a reporter, or `None` if the reporter cannot be distinguished from
/// others. Such a reporter may be GitHub, so no false signatures are counted for it.
fn address(reporter: Option<Reporter>) -> Option<IpAddr> {
    match reporter {
        Some(Reporter::At(address)) => Some(address),
        Some(Reporter::Unnamed) | None => None,
    }
}

impl Rates {
    /// Counts an unsigned report.
    ///
    /// # Errors
    /// Returns the time to wait if this reporter, or all reporters together, have sent too many
    /// reports. Then the report is not counted.
    pub fn take(&self, reporter: Option<Reporter>, now: Instant) -> Result<(), Duration> {
        let mut spent = self.spent();
        let by_one = spent.by_one.get(&reporter).copied();
        let wait = OF_ONE.wait(by_one, now).max(OF_ALL.wait(spent.by_all, now));
        if !wait.is_zero() {
            return Err(wait);
        }
        spent.by_all = Some(OF_ALL.spend(spent.by_all, now));
        // Entries whose burst is available again are dropped. Few remain, because the total is
        // limited.
        spent.by_one.retain(|_, spent| *spent > now);
        spent.by_one.insert(reporter, OF_ONE.spend(by_one, now));
        Ok(())
    }

    /// Checks that the reporter's address has not sent too many reports with false signatures.
    ///
    /// # Errors
    /// Returns the time to wait if the address has sent too many such reports.
    pub fn may_be_github(&self, reporter: Option<Reporter>, now: Instant) -> Result<(), Duration> {
        self.spent().falsely.wait(reporter, now)
    }

    /// Counts a report with a false signature that was sent from this reporter's address.
    pub fn is_not_github(&self, reporter: Option<Reporter>, now: Instant) {
        self.spent().falsely.count(reporter, now);
    }

    /// Checks that the reporter's address has not sent too many reports that name unknown keys.
    /// Call this function only for a report that names an unknown key.
    ///
    /// # Errors
    /// Returns the time to wait if the address has sent too many such reports.
    pub fn may_wait_for_keys(&self, reporter: Option<Reporter>, now: Instant) -> Result<(), Duration> {
        self.spent().by_unknown_keys.wait(reporter, now)
    }

    /// Counts a report that named an unknown key and for which the service could not fetch the
    /// current keys. [`may_wait_for_keys`](Self::may_wait_for_keys) limits such reports.
    pub fn waited_for_no_key(&self, reporter: Option<Reporter>, now: Instant) {
        self.spent().by_unknown_keys.count(reporter, now);
    }

    // No code here panics while it holds the lock.
    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reporter(number: u8) -> Option<Reporter> {
        Some(Reporter::At(IpAddr::from([198, 51, 100, number])))
    }

    #[test]
    fn reporter_may_send_a_burst_and_then_one_per_interval() {
        let (rates, start) = (Rates::default(), Instant::now());
        let one = reporter(1);
        for _ in 0..OF_ONE.burst {
            assert_eq!(rates.take(one, start), Ok(()));
        }
        assert_eq!(rates.take(one, start), Err(OF_ONE.every));
        let almost = start + OF_ONE.every - Duration::from_nanos(1);
        assert_eq!(rates.take(one, almost), Err(Duration::from_nanos(1)));
        assert_eq!(rates.take(one, start + OF_ONE.every), Ok(()));
        assert_eq!(rates.take(one, start + OF_ONE.every), Err(OF_ONE.every));
        // Other reporters are not delayed, and a refused report is not counted.
        assert_eq!(rates.take(reporter(2), start + OF_ONE.every), Ok(()));
        let later = start + OF_ONE.every * 100;
        assert!((0..OF_ONE.burst).all(|_| rates.take(one, later).is_ok()));
        assert_eq!(rates.spent().by_one.len(), 1, "a reporter whose burst is free again is not kept");
    }

    #[test]
    fn all_together_are_bounded() {
        let (rates, now) = (Rates::default(), Instant::now());
        let taken = (0..=255).filter(|number| rates.take(reporter(*number), now).is_ok()).count();
        assert_eq!(taken, OF_ALL.burst as usize);
        assert_eq!(rates.take(reporter(0), now), Err(OF_ALL.every));
        assert_eq!(rates.take(reporter(255), now + OF_ALL.every), Ok(()));
    }

    #[test]
    fn false_signatures_of_one_address_delay_no_other() {
        let (rates, now) = (Rates::default(), Instant::now());
        for _ in 0..FALSE.burst {
            assert_eq!(rates.may_be_github(reporter(1), now), Ok(()));
            rates.is_not_github(reporter(1), now);
            rates.is_not_github(None, now);
            rates.is_not_github(Some(Reporter::Unnamed), now);
        }
        assert_eq!(rates.may_be_github(reporter(1), now), Err(FALSE.every));
        assert_eq!(rates.may_be_github(reporter(1), now + FALSE.every), Ok(()));
        for other in [reporter(2), Some(Reporter::Unnamed), None] {
            assert_eq!(rates.may_be_github(other, now), Ok(()));
        }
        assert_eq!(rates.may_wait_for_keys(reporter(1), now), Ok(()), "each is counted by itself");
        // The memory for addresses is bounded.
        for number in 0..=MOST_FALSE as u32 {
            rates.is_not_github(Some(Reporter::At(IpAddr::from(number.to_be_bytes()))), now);
        }
        assert_eq!(rates.spent().falsely.0.len(), MOST_FALSE);
    }
}
