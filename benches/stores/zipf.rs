//! A realistic load, in which most requests present one of a few tokens, and the best cache for it.

use std::time::{Duration, Instant};

use super::tokens::Random;

/// The exponent of Zipf's law.
const EXPONENT: f64 = 1.1;

/// A sequence of independent requests. The probability that a request presents the r-th most
/// popular token is proportional to r^-1.1.
pub struct Zipf {
    /// The sum of the weights up to each rank.
    sums: Vec<f64>,
    random: Random,
}

impl Zipf {
    pub fn new(ranks: u64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=ranks).map(|rank| {
            sum += (rank as f64).powf(-EXPONENT);
            sum
        });
        Self { sums: sums.collect(), random: Random(145) }
    }

    /// Returns the rank of the next requested token. The most popular token has rank 0.
    pub fn next(&mut self) -> u64 {
        let at = self.random.fraction() * self.sums[self.sums.len() - 1];
        self.sums.partition_point(|sum| *sum <= at).min(self.sums.len() - 1) as u64
    }

    /// Returns the share of the requests that do not present one of the `most_popular` first
    /// tokens.
    pub fn beyond(&self, most_popular: u64) -> f64 {
        let held = (most_popular as usize).min(self.sums.len());
        1.0 - self.sums[held - 1] / self.sums[self.sums.len() - 1]
    }
}

/// Returns the number of the token with this rank. The popular tokens are spread over all projects.
pub fn token_of(rank: u64, tokens: u64) -> u64 {
    // The factor is a prime that divides none of the sizes, so that each rank has a different
    // token.
    ((u128::from(rank) * 2_654_435_761 + 12_345) % u128::from(tokens)) as u64
}

/// The best cache for a load: it knows the most popular tokens in advance, and holds only these.
///
/// It receives the same requests at the same times as the real cache. It queries the store at the
/// first use of a token, and again if the entry is older than the bound. If requests are
/// independent of each other, no cache has fewer misses unless it knows future requests.
pub struct Ideal {
    asked_at: Vec<Option<Instant>>,
    bound: Duration,
    pub misses: u64,
}

impl Ideal {
    pub fn new(entries: usize, bound: Duration) -> Self {
        Self { asked_at: vec![None; entries], bound, misses: 0 }
    }

    pub fn request(&mut self, rank: u64, now: Instant) {
        match self.asked_at.get_mut(rank as usize) {
            Some(Some(asked_at)) if now.duration_since(*asked_at) <= self.bound => {}
            Some(asked_at) => {
                *asked_at = Some(now);
                self.misses += 1;
            }
            None => self.misses += 1,
        }
    }
}
