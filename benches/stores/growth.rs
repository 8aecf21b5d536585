//! Measures how the cost of three operations grows with the number of tokens, and compares the
//! growth with log n.

use std::collections::HashSet;
use std::time::Instant;

use keyfob::{
    Actor,
    record::RevocationReason,
    store::{ListQuery, PageSize, RevokeGroup},
};

use super::engines::Engine;
use super::measure::{median, nanos, number, progress, time};
use super::table::Table;
use super::tokens::{OF_OWNER, Population, Random, verify};

/// The number of tokens in each project. It is the same at all of the [`SIZES`], and so is the
/// number of tokens of each owner. Only the number of projects grows, from 1 to 10,000.
pub const IN_PROJECT: u64 = 1000;
/// The total numbers of tokens with which the benchmark measures the operations.
pub const SIZES: [u64; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
/// The names of the measured operations.
pub const ACTS: [&str; 3] = ["verify", "list a page of 50", "revoke all 100 tokens of an owner"];
/// The number of measured verifications at each of the [`SIZES`].
const VERIFICATIONS: usize = 5_000;
/// The number of measured pages of a list at each of the [`SIZES`].
const PAGES: usize = 1_000;
/// The number of projects in which the benchmark revokes all tokens, at each of the [`SIZES`]. If
/// there are fewer projects, the benchmark revokes the tokens of all projects. Each operation
/// revokes the tokens of one owner.
const REVOKED: u64 = 4;
/// The number of owners in each project.
const OWNERS: u64 = IN_PROJECT / OF_OWNER;

/// The median costs of the operations on one engine.
pub struct Curves {
    /// The name of the engine.
    pub engine: &'static str,
    /// For each operation, its median time at each of the [`SIZES`], in nanoseconds.
    pub acts: [Vec<f64>; 3],
}

impl Curves {
    /// Returns the cost of an operation at each of the [`SIZES`], divided by the cost of the
    /// operation at the first size. `act` is the index of the operation in [`ACTS`].
    pub fn growth(&self, act: usize) -> impl Iterator<Item = f64> {
        self.acts[act].iter().map(move |cost| cost / self.acts[act][0])
    }
}

/// Returns the logarithm of `size`, divided by the logarithm of the first of the [`SIZES`].
pub fn log(size: u64) -> f64 {
    (size as f64).ln() / (SIZES[0] as f64).ln()
}

/// Measures one engine with each of the [`SIZES`] that is not greater than `most`. Returns `None`
/// if the engine is not installed.
pub async fn measure<E: Engine>(most: u64, population: &Population) -> Option<(Table, Curves)> {
    let mut engine = E::start().await?;
    let mut curves = Curves { engine: E::NAME, acts: Default::default() };
    let (mut projects, mut revoked) = (0, HashSet::new());
    for size in SIZES.into_iter().filter(|size| *size <= most.min(E::MOST)) {
        progress(&format!("growth: loading up to {} tokens into {}", number(size), E::NAME));
        engine.load(population, projects..size / population.in_project).await;
        projects = size / population.in_project;
        progress("verifying, listing and revoking");
        let costs = measure_at(&engine, population, size, &mut revoked).await;
        curves.acts.iter_mut().zip(costs).for_each(|(act, cost)| act.push(cost));
    }
    let version = engine.version().await;
    engine.stop().await;
    Some((table(&version, &curves), curves))
}

/// Returns the median time of each operation at one size, in nanoseconds. Adds the number of each
/// owner whose tokens it revokes to the set `revoked`.
async fn measure_at<E: Engine>(engine: &E, population: &Population, size: u64, revoked: &mut HashSet<u64>) -> [f64; 3] {
    let service = population.tokens(engine.store().clone());
    let mut random = Random(size);
    let mut times = Vec::new();
    while times.len() < VERIFICATIONS + VERIFICATIONS / 10 {
        let token = random.below(size);
        if !revoked.contains(&(token / OF_OWNER)) {
            let shown = population.shown(token);
            let began = Instant::now();
            verify(&service, &shown).await;
            times.push(nanos(began.elapsed()));
        }
    }
    let verification = median(times.split_off(VERIFICATIONS / 10));

    let mut times = Vec::new();
    while times.len() < PAGES + PAGES / 10 {
        let project = population.project(random.below(size) / population.in_project);
        let query = ListQuery { most: PageSize::clamped(50), ..ListQuery::new(project) };
        let began = Instant::now();
        let page = service.list(&query).await.unwrap();
        times.push(nanos(began.elapsed()));
        assert_eq!(page.items.len(), 50);
    }
    let page = median(times.split_off(PAGES / 10));

    // The tokens stay revoked, because the next size adds enough tokens that are not revoked.
    let mut times = Vec::new();
    for _ in 0..REVOKED.min(size / IN_PROJECT) {
        let first = loop {
            let first = random.below(size / IN_PROJECT) * OWNERS;
            if !revoked.contains(&first) {
                break first;
            }
        };
        for owner in first..first + OWNERS {
            revoked.insert(owner);
            let token = owner * OF_OWNER;
            let project = population.project(token / population.in_project);
            let group = RevokeGroup::Owner(population.owner(token));
            let (actor, reason) = (Actor::new("admin").unwrap(), RevocationReason::AffiliationChanged);
            let began = Instant::now();
            let count = service.revoke_group(&actor, &project, &group, reason).await.unwrap();
            let took = began.elapsed();
            assert_eq!(count, OF_OWNER);
            // The first revocation in a project is not counted. It has to make room in the pages of
            // the table, which are so dense only because of the bulk load.
            if owner > first {
                times.push(nanos(took));
            }
        }
    }
    let revocation = median(times);
    [verification, page, revocation]
}

fn table(version: &str, curves: &Curves) -> Table {
    let sizes = &SIZES[..curves.acts[0].len()];
    let mut head = vec!["operation".to_owned()];
    head.extend(sizes.iter().map(|size| number(*size)));
    head.push("grows faster than log n".into());
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut table = Table::new(format!("{version}: the cost of operations as the number of tokens grows"), &head);
    let logs = sizes.iter().map(|size| format!("×{:.2}", log(*size)));
    table.row(std::iter::once("log n".to_owned()).chain(logs).chain([String::new()]));
    for (act, name) in ACTS.into_iter().enumerate() {
        let growth: Vec<f64> = curves.growth(act).collect();
        let costs = curves.acts[act].iter().zip(&growth).map(|(cost, growth)| format!("{} ×{growth:.2}", time(*cost)));
        let faster = sizes.iter().zip(&growth).filter(|(size, growth)| **growth > log(**size));
        let faster: Vec<String> = faster.map(|(size, _)| format!("at {}", number(*size))).collect();
        let verdict = if faster.is_empty() { "no".to_owned() } else { faster.join(", ") };
        table.row(std::iter::once(name.to_owned()).chain(costs).chain([verdict]));
    }
    table.note(format!(
        "Each cell shows the median time of an operation, and the ratio of this median to the median at the first size. Each project has \
         {} tokens, which belong to {OWNERS} owners. There is no cache. The benchmark chooses tokens and projects at random. At each size, \
         it measures {VERIFICATIONS} verifications and {PAGES} pages. Then it revokes the tokens of all owners in {REVOKED} projects (at \
         the first size in the only project), one owner after the other. The revocation for the first owner in a project is not counted.",
        number(IN_PROJECT),
    ));
    table
}
