//! A realistic load, and the best cache for this load. In a realistic load, a small part of the
//! tokens gets most requests.

use std::time::{Duration, Instant};

use super::tokens::Random;

/// The exponent of Zipf's law.
const EXPONENT: f64 = 1.1;

/// A sequence of independent requests. The probability that a request presents the r-th most
/// popular token is proportional to r^-1.1.
pub struct Zipf {
    /// For each rank, the sum of the weights of all ranks up to this rank. The weight of the r-th
    /// most popular token is r^-1.1.
    sums: Vec<f64>,
    random: Random,
}

impl Zipf {
    /// Creates a sequence of requests for `ranks` different tokens.
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

    /// Returns the share of the requests whose tokens are not among the most popular tokens.
    /// `most_popular` is the number of tokens that count as the most popular.
    pub fn beyond(&self, most_popular: u64) -> f64 {
        let held = (most_popular as usize).min(self.sums.len());
        1.0 - self.sums[held - 1] / self.sums[self.sums.len() - 1]
    }
}

/// Returns the token with this rank of popularity, as its index among all tokens. The popular
/// tokens are spread over all projects. `tokens` is the total number of tokens.
pub fn token_of(rank: u64, tokens: u64) -> u64 {
    // The factor is a prime that does not divide `tokens`. So no two ranks have the same token.
    ((u128::from(rank) * 2_654_435_761 + 12_345) % u128::from(tokens)) as u64
}

/// A simulation of the best cache for a load. The best cache knows the most popular tokens in
/// advance, and holds only these tokens.
///
/// The simulation receives the same requests at the same times as the real cache, and counts the
/// misses: the requests that need a call to the store. For a token that the best cache holds, a
/// request needs a call if it is the first request for this token, or if the entry of the token is
/// older than the bound. For any other token, each request needs a call. The requests are
/// independent of each other. So only a cache that knows future requests could have fewer misses.
pub struct Ideal {
    asked_at: Vec<Option<Instant>>,
    bound: Duration,
    pub misses: u64,
}

impl Ideal {
    pub fn new(entries: usize, bound: Duration) -> Self {
        Self { asked_at: vec![None; entries], bound, misses: 0 }
    }

    /// Processes a request for the token with this rank, and counts a miss if there is one.
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
