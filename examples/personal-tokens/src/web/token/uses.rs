//! The uses of a token by day: a chart of the accepted and refused requests, and the refusals in
//! words.

use std::collections::BTreeMap;

use keyfob::Timestamp;

use crate::setup::SetupError;
use crate::tokens::refusals::Refused;
use crate::tokens::uses::{Day, Recent, SHOWN, start_of};
use crate::web::time_words;
use crate::web::token::words;

/// The height of the chart, in the units of its bars.
const HEIGHT: u64 = 100;
/// The distance between the left sides of two bars, in the same units.
const STEP: i64 = 10;

/// The uses of the latest days.
pub struct Chart {
    pub bars: Vec<Bar>,
    pub accepted: Count,
    pub refused: Count,
    /// The largest number of uses on a day.
    pub most: u64,
    /// The first day of the chart.
    pub from: String,
    /// Whether some accepted requests were not counted.
    pub is_sample: bool,
}

/// A number of requests. If `is_least`, there may have been more.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Count {
    pub number: u64,
    pub is_least: bool,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.number = self.number.saturating_add(other.number);
        self.is_least |= other.is_least;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.is_least { "at least " } else { "" }, self.number)
    }
}

/// The uses of one day. The refused requests are above the accepted ones.
pub struct Bar {
    pub day: String,
    pub accepted: Count,
    pub refused: Count,
    pub left: i64,
    pub accepted_top: u64,
    pub accepted_height: u64,
    pub refused_top: u64,
    pub refused_height: u64,
}

impl Bar {
    pub fn is_empty(&self) -> bool {
        self.accepted.number == 0 && self.refused.number == 0
    }
}

impl Chart {
    /// Creates the chart of the days until `today`. Returns `None` if there was no use.
    pub fn new(recent: &Recent, refused: &BTreeMap<Day, Vec<Refused>>, today: Day) -> Result<Option<Self>, SetupError> {
        let first = today - SHOWN + 1;
        let mut days = Vec::new();
        for day in first..=today {
            // A day without a counted use is not marked: most tokens are not used each day.
            let number = recent.times.get(&day).copied().unwrap_or(0);
            let accepted = Count { number, is_least: number > 0 && recent.is_least.contains(&day) };
            let mut of_day = Count::default();
            for one in refused.get(&day).into_iter().flatten() {
                of_day.add(Count { number: one.times, is_least: one.is_least });
            }
            days.push((day, accepted, of_day));
        }
        let (mut accepted, mut all_refused, mut most) = (Count::default(), Count::default(), 0);
        for (_, ok, no) in &days {
            accepted.add(*ok);
            all_refused.add(*no);
            most = most.max(ok.number.saturating_add(no.number));
        }
        if most == 0 {
            return Ok(None);
        }
        let mut bars = Vec::with_capacity(days.len());
        for (day, ok, no) in days {
            let (accepted_height, refused_height) = (height(ok.number, most), height(no.number, most));
            let accepted_top = HEIGHT - accepted_height.min(HEIGHT);
            bars.push(Bar {
                day: name(day)?,
                accepted: ok,
                refused: no,
                left: (day - first) * STEP,
                accepted_top,
                accepted_height,
                refused_top: accepted_top.saturating_sub(refused_height),
                refused_height: refused_height.min(accepted_top),
            });
        }
        let is_sample = accepted.is_least;
        Ok(Some(Self { bars, accepted, refused: all_refused, most, from: name(first)?, is_sample }))
    }
}

/// Returns the height of a part of a bar. A number above 0 is always visible.
fn height(number: u64, most: u64) -> u64 {
    match u64::try_from(u128::from(number) * u128::from(HEIGHT - 4) / u128::from(most)).unwrap_or(HEIGHT) {
        0 if number > 0 => 2,
        height => height,
    }
}

fn name(day: Day) -> Result<String, SetupError> {
    Ok(time_words::date(Timestamp::from_unix_millis(start_of(day))?))
}

/// The refusals of one day in words.
pub struct RefusedDay {
    pub day: String,
    /// The sentences, such as "12 refused: revoked".
    pub refusals: Vec<String>,
}

/// Returns the refusals in words, the latest day first.
pub fn refused_days(days: &BTreeMap<Day, Vec<Refused>>) -> Result<Vec<RefusedDay>, SetupError> {
    let mut said = Vec::with_capacity(days.len());
    for (day, refusals) in days.iter().rev() {
        let sentence = |one: &Refused| {
            let count = Count { number: one.times, is_least: one.is_least };
            format!("{count} refused: {}", words::refusal(one.reason))
        };
        said.push(RefusedDay { day: name(*day)?, refusals: refusals.iter().map(sentence).collect() });
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use keyfob::Rejection;

    use super::*;

    const TODAY: Day = 20_786;

    fn refused(reason: Rejection, times: u64) -> Refused {
        Refused { reason, times, is_least: !reason.is_after_proof() }
    }

    fn recent(times: &[(Day, u64)], is_least: &[Day]) -> Recent {
        Recent { times: times.iter().copied().collect(), is_least: is_least.iter().copied().collect() }
    }

    #[test]
    fn chart_shows_the_days_until_today() {
        let refusals = BTreeMap::from([
            (TODAY - SHOWN, vec![refused(Rejection::Expired, 1000)]),
            (TODAY, vec![refused(Rejection::Digest, 1), refused(Rejection::Revoked, 9)]),
        ]);
        let recent = recent(&[(TODAY - SHOWN + 1, 40), (TODAY - 1, 1)], &[TODAY - 1, TODAY]);
        let chart = Chart::new(&recent, &refusals, TODAY).expect("the days exist").expect("there are uses");
        assert_eq!((chart.bars.len(), chart.most, chart.is_sample), (30, 40, true));
        assert_eq!(
            (chart.accepted.to_string(), chart.refused.to_string()),
            ("at least 41".into(), "at least 10".into())
        );
        let (first, last) = (&chart.bars[0], &chart.bars[29]);
        assert_eq!((first.left, last.left), (0, 290));
        assert_eq!((first.accepted_top, first.accepted_height, first.refused_height), (4, 96, 0));
        assert_eq!((last.accepted_top, last.refused_top, last.refused_height), (100, 76, 24));
        assert_eq!(chart.bars[28].accepted_height, 2, "a single use is visible");
        assert_eq!(chart.bars.iter().filter(|bar| !bar.is_empty()).count(), 3);
        assert_eq!((chart.from.as_str(), last.day.as_str()), ("31 Oct 2026", "29 Nov 2026"));
    }

    #[test]
    fn token_without_uses_has_no_chart() {
        let earlier = BTreeMap::from([(TODAY - SHOWN, vec![refused(Rejection::Expired, 1)])]);
        assert!(Chart::new(&recent(&[], &[TODAY]), &earlier, TODAY).expect("the days exist").is_none());
    }

    #[test]
    fn parts_of_a_bar_stay_within_the_chart() {
        for (ok, no) in [(1, u64::MAX / 2), (u64::MAX / 2, 1), (u64::MAX, u64::MAX), (1, 1)] {
            let refusals = BTreeMap::from([(TODAY, vec![refused(Rejection::Revoked, no)])]);
            let chart = Chart::new(&recent(&[(TODAY, ok)], &[]), &refusals, TODAY).expect("the days exist");
            let chart = chart.expect("there are uses");
            let bar = &chart.bars[29];
            assert_eq!(bar.accepted_top + bar.accepted_height, HEIGHT, "{ok} {no}");
            assert_eq!(bar.refused_top + bar.refused_height, bar.accepted_top, "{ok} {no}");
        }
    }

    #[test]
    fn refusals_of_a_day_are_in_words() {
        let days = BTreeMap::from([
            (TODAY - 1, vec![refused(Rejection::Expired, 1)]),
            (TODAY, vec![refused(Rejection::Digest, 1), refused(Rejection::Revoked, 12)]),
        ]);
        let said = refused_days(&days).expect("the days exist");
        let said: Vec<_> = said.iter().map(|one| (one.day.as_str(), one.refusals.join("; "))).collect();
        let today = "at least 1 refused: wrong secret; 12 refused: revoked".into();
        assert_eq!(said, [("29 Nov 2026", today), ("28 Nov 2026", "1 refused: expired".into())]);
    }
}
