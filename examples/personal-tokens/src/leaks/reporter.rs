//! Identifies reporters of leaks by their address, and limits the rate of their reports.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;

/// A client that sends reports, identified by its address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reporter {
    /// The IPv4 address of a client, or the /64 network of its IPv6 address, because a client
    /// usually has all addresses of that network.
    At(IpAddr),
    /// All clients whose address the proxy does not name.
    Unnamed,
}

impl Reporter {
    /// Returns the reporter that sent a request. If the service runs behind a proxy, the reporter
    /// has the address that the proxy names. If not, the reporter has the address of the
    /// connection. In the second case, returns `None` for a connection from loopback: the client is
    /// then a person who tries the service, or a proxy for which the operator forgot to set
    /// `--behind-tls`.
    pub fn of(request: &Request, behind_proxy: bool) -> Option<Self> {
        if behind_proxy {
            return Some(forwarded_for(request.headers()).map_or(Self::Unnamed, Self::at));
        }
        let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        Some(peer.ip().to_canonical()).filter(|address| !address.is_loopback()).map(Self::at)
    }

    fn at(address: IpAddr) -> Self {
        Self::At(match address {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            address => address,
        })
    }
}

/// Returns the last address in `X-Forwarded-For`, which is the address that the proxy adds. The
/// client may have written anything before this address, even bytes that are not text.
pub fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let value = headers.get_all("x-forwarded-for").iter().next_back()?.as_bytes();
    let last = str::from_utf8(value.rsplit(|byte| *byte == b',').next()?).ok()?.trim();
    // Some proxies add the port, and brackets around an IPv6 address.
    let with_port = || last.parse().map(|address: SocketAddr| address.ip());
    let in_brackets = || last.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: Option<IpAddr> = last.parse().or_else(|_| with_port()).ok().or_else(in_brackets);
    Some(address?.to_canonical())
}

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
    use axum::http::HeaderValue;

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

    #[test]
    fn reporter_is_the_peer_or_the_last_forwarded_address() {
        let of = |peer: &str, headers: &[&[u8]], behind_proxy: bool| {
            let mut request = Request::new(axum::body::Body::empty());
            let peer: SocketAddr = peer.parse().expect("an address");
            request.extensions_mut().insert(ConnectInfo(peer));
            for value in headers {
                let value = HeaderValue::from_bytes(value).expect("a header");
                request.headers_mut().append("x-forwarded-for", value);
            }
            Reporter::of(&request, behind_proxy).map(|reporter| match reporter {
                Reporter::At(address) => address.to_string(),
                Reporter::Unnamed => "unnamed".into(),
            })
        };
        let some = |address: &str| Some(address.to_owned());
        assert_eq!(of("198.51.100.1:5", &[], false), some("198.51.100.1"));
        assert_eq!(of("[::ffff:198.51.100.1]:5", &[], false), some("198.51.100.1"));
        assert_eq!(of("[2001:db8:1:2:3:4:5:6]:5", &[], false), some("2001:db8:1:2::"));
        // Without a proxy, the client itself wrote the header.
        assert_eq!(of("198.51.100.1:5", &[b"198.51.100.2"], false), some("198.51.100.1"));
        for peer in ["127.0.0.1:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
            assert_eq!(of(peer, &[b"198.51.100.2"], false), None, "{peer}");
        }
        let behind = |headers: &[&[u8]]| of("127.0.0.1:5", headers, true);
        assert_eq!(behind(&[b"192.0.2.1", b"198.51.100.2"]), some("198.51.100.2"));
        for (header, named) in [
            (&b"198.51.100.2"[..], "198.51.100.2"),
            (b"192.0.2.1, 198.51.100.2", "198.51.100.2"),
            (b"\xff, 198.51.100.2", "198.51.100.2"),
            (b"\xff,,198.51.100.2", "198.51.100.2"),
            (b"192.0.2.1, 198.51.100.2:4711", "198.51.100.2"),
            (b"::ffff:198.51.100.2", "198.51.100.2"),
            (b"[2001:db8:1:2:3:4:5:6]:4711", "2001:db8:1:2::"),
            (b"[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::"),
            (b"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            (b"192.0.2.1, unknown", "unnamed"),
            (b"192.0.2.1, \xff", "unnamed"),
            (b"192.0.2.1,", "unnamed"),
            (b"", "unnamed"),
        ] {
            assert_eq!(behind(&[header]), some(named), "{}", header.escape_ascii());
        }
        assert_eq!(behind(&[]), some("unnamed"));
    }
}
