//! A load as services have it, where few tokens make most of the requests, and the best that a cache can do with it.

use std::time::{Duration, Instant};

use super::tokens::Random;

const EXPONENT: f64 = 1.1;

/// Requests that are independent of each other, each for the token of rank r with a probability in proportion to r^-1.1.
pub struct Zipf {
    /// Up to each rank, the sum of the weights.
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

    /// A rank, from 0 on.
    pub fn next(&mut self) -> u64 {
        let at = self.random.fraction() * self.sums[self.sums.len() - 1];
        self.sums.partition_point(|sum| *sum <= at).min(self.sums.len() - 1) as u64
    }

    /// The part of the requests that is not for the most popular so many.
    pub fn beyond(&self, most_popular: u64) -> f64 {
        let held = (most_popular as usize).min(self.sums.len());
        1.0 - self.sums[held - 1] / self.sums[self.sums.len() - 1]
    }
}

/// The token of a rank: popular ones stand in no order, and in all projects.
pub fn token_of(rank: u64, tokens: u64) -> u64 {
    // A prime that divides no size here, so that each rank has a token of its own.
    ((u128::from(rank) * 2_654_435_761 + 12_345) % u128::from(tokens)) as u64
}

/// A cache that knows beforehand which tokens are the most popular, holds just these, and is asked at the same times as the
/// real one. Where requests are independent of each other, no cache that does not know the requests to come has fewer misses. It
/// must ask the store at the first use of a token, and again where its answer is older than the bound.
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
