//! Slows the guessing of passwords, for each account and for each address.
//!
//! A try is counted as wrong before its password is hashed, so that concurrent tries cannot exceed
//! a limit. A right password takes its count back. Three limits apply, in this process only:
//!
//! 1. An address may send wrong passwords for one account [`OF_PAIR`] times. Then it must wait, and
//!    each further wrong password doubles the wait.
//! 2. An address may send wrong passwords for all accounts together at the rate [`OF_CLIENT`].
//! 3. If an account gets more wrong passwords from all addresses together than [`OF_ACCOUNT`]
//!    allows, each address may send only one wrong password for it before it must wait
//!    ([`UNDER_ATTACK`]). An address without a wrong password for this account never waits because
//!    of other addresses: so no one can lock a person out.
//!
//! The limits are the same for a name that no person has, so they do not reveal which names exist.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::error::Error;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyfob::Timestamp;

use crate::client::Client;
use crate::people::accounts::Busy;
use crate::people::limits::{BackOff, Debt, Entry as _, FORGOTTEN, Latest, Rate, Wrong, put};
use crate::people::too_many::TooMany;

/// The waits of one address for one account.
const OF_PAIR: BackOff = BackOff { free: 5, first: Duration::from_secs(30), longest: Duration::from_secs(15 * 60) };
/// The waits of one address for an account that gets too many wrong passwords from all addresses.
const UNDER_ATTACK: BackOff =
    BackOff { free: 1, first: Duration::from_secs(60), longest: Duration::from_secs(60 * 60) };
/// The limit for one address and all accounts. Many people may share an address.
const OF_CLIENT: Rate = Rate { burst: 20, every: Duration::from_secs(30) };
/// The limit for one account and all addresses.
const OF_ACCOUNT: Rate = Rate { burst: 20, every: Duration::from_secs(60) };
/// The maximum number of passwords for one account that are hashed or wait for it at the same time.
/// It is about half of the places, so that an attack on one account leaves places for the others.
const MOST_AT_ONCE: usize = 16;

/// A name that was typed, as a keyed hash. Its size does not depend on the name, and no one can
/// choose names with the same hash.
type Account = u64;

#[derive(Default)]
struct Counts {
    by_pair: HashMap<(Account, Option<Client>), Wrong>,
    by_client: HashMap<Option<Client>, Debt>,
    by_account: HashMap<Account, Debt>,
    /// The number of tries for each account that are in progress.
    running: HashMap<Account, usize>,
    /// The time at which the entries without effect were last dropped.
    tidied: Option<Timestamp>,
    latest: Latest,
}

impl Counts {
    /// Drops the entries without effect once an hour, because they are data about people.
    fn tidy(&mut self, now: Timestamp) {
        if self.tidied.is_some_and(|at| at <= now && now.saturating_since(at) < FORGOTTEN) {
            return;
        }
        self.by_pair.retain(|_, wrong| !wrong.is_over(now));
        self.by_client.retain(|_, debt| !debt.is_over(now));
        self.by_account.retain(|_, debt| !debt.is_over(now));
        self.tidied = Some(now);
    }
}

/// The wrong passwords of the last hour.
#[derive(Default)]
pub struct Guesses {
    counts: Mutex<Counts>,
    keys: RandomState,
}

/// A try whose password may be hashed. It stays counted as wrong unless [`right`](Self::right) or
/// [`unchecked`](Self::unchecked) is called, so a client gains nothing by closing the connection.
pub struct Guess<'g> {
    guesses: &'g Guesses,
    account: Account,
    client: Option<Client>,
    /// The entry of this address for this account before this try, and with it.
    earlier: Option<Wrong>,
    of_pair: Wrong,
    /// The times that this try added to the debts of the client and of the account.
    of_client: Duration,
    of_account: Duration,
}

impl Guesses {
    /// Counts a try as a wrong password, before the password is hashed.
    ///
    /// # Errors
    /// Returns [`TooMany`] if the client must wait, and [`Busy`] if too many tries for this account
    /// are in progress. Then the try is not counted and its password must not be hashed.
    pub fn begin(
        &self,
        name: &str,
        client: Option<Client>,
        now: Timestamp,
    ) -> Result<Guess<'_>, Box<dyn Error + Send + Sync>> {
        let account = self.keys.hash_one(name);
        let mut counts = self.counts();
        let counts = &mut *counts;
        let now = counts.latest.in_order(now);
        counts.tidy(now);
        let (of_client, of_account) = (counts.by_client.get(&client), counts.by_account.get(&account));
        let is_attacked = !OF_ACCOUNT.wait(of_account, now).is_zero();
        let of_pair = counts.by_pair.get(&(account, client));
        let back_off = if is_attacked { UNDER_ATTACK } else { OF_PAIR };
        let wait = back_off.wait(of_pair, now).max(OF_CLIENT.wait(of_client, now));
        if !wait.is_zero() {
            return Err(TooMany { wait }.into());
        }
        let running = counts.running.get(&account).copied().unwrap_or_default();
        if running >= MOST_AT_ONCE {
            return Err(Busy.into());
        }
        let earlier = of_pair.copied();
        let of_pair = Wrong::once_more(of_pair, now);
        let (client_debt, of_client) = OF_CLIENT.count(of_client, now);
        let (account_debt, of_account) = OF_ACCOUNT.count(of_account, now);
        put(&mut counts.by_pair, (account, client), of_pair, now);
        put(&mut counts.by_client, client, client_debt, now);
        put(&mut counts.by_account, account, account_debt, now);
        counts.running.insert(account, running + 1);
        Ok(Guess { guesses: self, account, client, earlier, of_pair, of_client, of_account })
    }

    // No code here panics while it holds the lock.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guess<'_> {
    /// Records that the password was right. The earlier wrong passwords of this address for this
    /// account are forgotten. The other limits only lose the count of this try, so that a person
    /// cannot guess the passwords of others between sign-ins to their own account.
    pub fn right(self) {
        self.take_back();
        self.guesses.counts().by_pair.remove(&(self.account, self.client));
    }

    /// Records that the password was not checked, so that the try neither counts nor restarts the
    /// wait.
    pub fn unchecked(self) {
        self.take_back();
        let mut counts = self.guesses.counts();
        let Entry::Occupied(mut entry) = counts.by_pair.entry((self.account, self.client)) else { return };
        match self.earlier {
            // A concurrent try was counted after this one, and remains counted.
            _ if *entry.get() != self.of_pair => entry.get_mut().once_less(),
            Some(earlier) => *entry.get_mut() = earlier,
            None => drop(entry.remove()),
        }
    }

    fn take_back(&self) {
        let mut counts = self.guesses.counts();
        if let Some(debt) = counts.by_client.get_mut(&self.client) {
            debt.take_back(self.of_client);
        }
        if let Some(debt) = counts.by_account.get_mut(&self.account) {
            debt.take_back(self.of_account);
        }
    }
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        let mut counts = self.guesses.counts();
        if let Some(running) = counts.running.get_mut(&self.account) {
            *running -= 1;
            if *running == 0 {
                counts.running.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::people::limits::{DISORDER, MOST};

    const NOW: i64 = 1_800_000_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_millis(NOW).expect("a time").saturating_add(Duration::from_secs(seconds))
    }

    fn client(number: u32) -> Option<Client> {
        Some(Client::At(IpAddr::from(number.to_be_bytes())))
    }

    /// Sends a wrong password. Returns the seconds to wait if the try is refused.
    fn guess(guesses: &Guesses, name: &str, number: u32, now: Timestamp) -> u64 {
        let Err(error) = guesses.begin(name, client(number), now) else { return 0 };
        error.downcast::<TooMany>().expect("it is not busy").seconds()
    }

    #[test]
    fn each_further_wrong_password_doubles_the_wait_of_the_address() {
        let (guesses, mut now) = (Guesses::default(), 0);
        assert!((0..5).all(|_| guess(&guesses, "ada", 1, at(now)) == 0));
        for pause in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(guess(&guesses, "ada", 1, at(now)), pause);
            assert_eq!(guess(&guesses, "ada", 1, at(now + pause - 1)), 1);
            // Neither other addresses nor other accounts wait.
            assert_eq!((guess(&guesses, "ada", 2, at(now)), guess(&guesses, "bob", 1, at(now))), (0, 0));
            now += pause;
            assert_eq!(guess(&guesses, "ada", 1, at(now)), 0);
            guesses.begin("ada", client(2), at(now)).expect("no wait").right();
            guesses.begin("bob", client(1), at(now)).expect("no wait").right();
        }
        let later = now + 60 * 60;
        assert!((0..5).all(|_| guess(&guesses, "ada", 1, at(later)) == 0), "after an hour it is forgotten");
        assert_eq!(guess(&guesses, "ada", 1, at(0)), 0, "the clock was set back");
    }

    #[test]
    fn address_waits_after_wrong_passwords_for_many_accounts() {
        let guesses = Guesses::default();
        let names: Vec<String> = (0..21).map(|number| format!("name {number}")).collect();
        assert!(names[..20].iter().all(|name| guess(&guesses, name, 1, at(0)) == 0));
        assert_eq!(guess(&guesses, &names[20], 1, at(0)), 30);
        assert_eq!(guess(&guesses, &names[20], 2, at(0)), 0);
        assert_eq!(guess(&guesses, &names[20], 1, at(30)), 0);
        // A right password takes its count back, and only its own.
        assert_eq!(guess(&guesses, "other", 1, at(30)), 30);
        guesses.begin("own", client(1), at(60)).expect("no wait").right();
        assert_eq!((guess(&guesses, "other", 1, at(60)), guess(&guesses, "other", 1, at(60))), (0, 30));
    }

    #[test]
    fn account_under_attack_gets_one_wrong_password_from_each_address() {
        let guesses = Guesses::default();
        assert!((0..20).all(|number| guess(&guesses, "ada", number / 4, at(0)) == 0));
        for number in 5..100 {
            assert_eq!((guess(&guesses, "ada", number, at(0)), guess(&guesses, "ada", number, at(0))), (0, 60));
        }
        // A right password from an address without wrong passwords is accepted.
        guesses.begin("ada", client(100), at(0)).expect("no wait").right();
        // The account is no longer under attack after a pause.
        assert_eq!(guess(&guesses, "ada", 5, at(60)), 0);
        assert_eq!(guess(&guesses, "ada", 6, at(20 * 60)), 0);
        assert_eq!(guess(&guesses, "ada", 6, at(20 * 60)), 0);
    }

    #[test]
    fn unchecked_try_does_not_count_and_a_dropped_one_does() {
        let guesses = Guesses::default();
        for _ in 0..50 {
            guesses.begin("ada", client(1), at(0)).expect("no wait").unchecked();
        }
        assert!((0..5).all(|_| guess(&guesses, "ada", 1, at(0)) == 0));
        assert_eq!(guess(&guesses, "ada", 1, at(0)), 30);
    }

    /// Otherwise, right passwords and tries that were not checked would end the attack mode.
    #[test]
    fn account_stays_under_attack_after_tries_that_do_not_count() {
        let ends: [fn(Guess<'_>); 2] = [|tried| tried.right(), |tried| tried.unchecked()];
        for (number, end) in ends.into_iter().enumerate() {
            for (seconds, wait) in [(0, 120), (59, 61), (60, 0)] {
                let (guesses, now) = (Guesses::default(), at(seconds));
                assert!((0..20).all(|number| guess(&guesses, "ada", number / 2, at(0)) == 0));
                end(guesses.begin("ada", client(100), now).expect("no wait"));
                // An address with two wrong passwords waits only if the account is under attack.
                assert_eq!(guess(&guesses, "ada", 9, now), wait, "{number} {seconds}");
            }
        }
    }

    #[test]
    fn unchecked_try_does_not_restart_the_wait() {
        let guesses = Guesses::default();
        assert!((0..5).all(|_| guess(&guesses, "ada", 1, at(0)) == 0));
        for _ in 0..3 {
            guesses.begin("ada", client(1), at(30)).expect("no wait").unchecked();
        }
        assert_eq!(guess(&guesses, "ada", 1, at(30)), 0);
        assert_eq!(guess(&guesses, "ada", 1, at(30)), 60);
    }

    /// The wrong password of a concurrent try still counts.
    #[test]
    fn unchecked_try_takes_back_only_itself() {
        for is_first in [true, false] {
            let guesses = Guesses::default();
            assert!((0..3).all(|_| guess(&guesses, "ada", 1, at(0)) == 0));
            let mut tries = [1, 2].map(|second| Some(guesses.begin("ada", client(1), at(second)).expect("no wait")));
            tries[usize::from(!is_first)].take().expect("it is there").unchecked();
            drop(tries);
            assert_eq!((guess(&guesses, "ada", 1, at(2)), guess(&guesses, "ada", 1, at(2))), (0, 30));
        }
    }

    #[test]
    fn slightly_earlier_time_keeps_the_counts() {
        let most = DISORDER.as_secs();
        for (seconds, is_kept) in [(0, true), (most - 1, true), (most, true), (most + 1, false)] {
            let (guesses, earlier) = (Guesses::default(), at(100 - seconds));
            assert!((0..5).all(|_| guess(&guesses, "ada", 1, at(100)) == 0));
            assert_eq!(guess(&guesses, "ada", 1, earlier), if is_kept { 30 } else { 0 }, "{seconds}");

            let guesses = Guesses::default();
            assert!((0..20).all(|number| guess(&guesses, "ada", number, at(100)) == 0));
            // An address may send a second wrong password unless the account is under attack.
            assert_eq!(guess(&guesses, "ada", 20, earlier), 0);
            assert_eq!(guess(&guesses, "ada", 20, earlier), if is_kept { 60 } else { 0 }, "{seconds}");
        }
    }

    #[test]
    fn tries_for_one_account_that_are_in_progress_are_limited() {
        let guesses = Guesses::default();
        let mut running: Vec<_> = (0..16).map(|number| guesses.begin("ada", client(number), at(0))).collect();
        let refused = guesses.begin("ada", client(99), at(0)).err().expect("it is refused");
        assert!(refused.is::<Busy>());
        assert!(guesses.begin("bob", client(99), at(0)).is_ok());
        running.pop();
        assert!(guesses.begin("ada", client(99), at(0)).is_ok());
        running.clear();
        assert!(guesses.counts().running.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let guesses = Guesses::default();
        for number in 0..5 * MOST as u32 {
            guess(&guesses, &format!("name {number}"), number, at(u64::from(number / 100)));
            let counts = guesses.counts();
            let most = counts.by_pair.len().max(counts.by_client.len()).max(counts.by_account.len());
            assert!(most <= MOST, "{most}");
        }
        // The latest entries are kept.
        let last = 5 * MOST as u32 - 1;
        assert!(guesses.counts().by_client.contains_key(&client(last)));
        // After an hour without tries, the next try drops all entries.
        guess(&guesses, "ada", 1, at(u64::from(last / 100) + 60 * 60));
        let counts = guesses.counts();
        assert_eq!((counts.by_pair.len(), counts.by_client.len(), counts.by_account.len()), (1, 1, 1));
    }
}
