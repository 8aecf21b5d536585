//! Benchmark of the stores with millions of tokens: how much time an operation takes, and how this
//! time grows with the number of tokens.
//!
//! The benchmark compares the time of a verification without a cache with its floor: the time of
//! the read that no store on the engine can avoid. Both are measured in the same run. The benchmark
//! takes about 45 minutes:
//!
//! ```sh
//! cargo bench --bench stores --all-features
//! ```
//!
//! The benchmark starts the engines itself and keeps their data below the target folder. The data
//! take up to 20 GB of disk space there until the benchmark ends. Redis keeps its data in
//! `/dev/shm` if that folder exists. These arguments may follow after `--`:
//!
//! - `cost` measures only the cost of operations, and `growth` measures only how the cost grows.
//! - `behind` measures only the engines behind a cache, all of them with the same number of tokens
//!   and the same load, and what causes the gaps. It runs only if it is named.
//! - `maintenance` measures only the maintenance jobs, with one token in each of up to 1,000,000
//!   projects. It runs only if it is named. The limit `--most N` is then the number of projects.
//! - `--only ENGINE` measures only this engine, for example Redis.
//! - `--most N` limits the number of tokens to N, for a quick trial. N must be at least 1000.
//! - `--write` writes the figures to the files that the operations page of the guide includes.

mod behind;
mod cost;
mod engines;
mod growth;
mod maintenance;
mod measure;
mod picture;
mod plot;
mod table;
mod tokens;
mod zipf;

use std::fs;
use std::path::Path;

use keyfob::{Clock, SystemClock};

use self::cost::{Memory, Ratios};
use self::engines::Engine;
use self::engines::mariadb::Mariadb;
use self::engines::postgres::Postgres;
use self::engines::redis::Redis;
use self::engines::sqlite::Sqlite;
use self::growth::Curves;
use self::measure::progress;
use self::table::Table;
use self::tokens::Population;

/// The number of tokens with which the module `cost` measures PostgreSQL, MariaDB and SQLite. Redis
/// gets fewer tokens because it holds them in memory.
const TOKENS: u64 = 5_000_000;

/// The parsed command line.
struct Wanted {
    cost: bool,
    growth: bool,
    behind: bool,
    maintenance: bool,
    write: bool,
    /// The name of the only engine to measure, or `None` for all engines.
    only: Option<String>,
    /// The maximum number of tokens.
    most: u64,
}

impl Wanted {
    fn of(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wanted = Self {
            cost: false,
            growth: false,
            behind: false,
            maintenance: false,
            write: false,
            only: None,
            most: u64::MAX,
        };
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "cost" => wanted.cost = true,
                "growth" => wanted.growth = true,
                "behind" => wanted.behind = true,
                "maintenance" => wanted.maintenance = true,
                "--write" => wanted.write = true,
                "--only" => wanted.only = Some(arguments.next().ok_or("--only needs the name of an engine")?),
                "--most" => {
                    let most = arguments.next().and_then(|most| most.parse().ok()).filter(|most| *most >= 1000);
                    wanted.most = most.ok_or("--most needs a number of at least 1000")?;
                }
                other => {
                    return Err(format!(
                        "unknown argument {other} (known: cost, growth, behind, maintenance, --only ENGINE, --most N, --write)"
                    ));
                }
            }
        }
        if !wanted.cost && !wanted.growth && !wanted.behind && !wanted.maintenance {
            (wanted.cost, wanted.growth) = (true, true);
        }
        Ok(wanted)
    }
}

/// The results so far. The benchmark prints each table as soon as all of its figures are measured.
#[derive(Default)]
struct Report {
    /// The name of the only engine to measure, or `None` for all engines.
    only: Option<String>,
    cost: Vec<(Table, Ratios)>,
    growth: Vec<(Table, Curves)>,
    behind: Vec<Table>,
    maintenance: Vec<Table>,
}

impl Report {
    fn wants<E: Engine>(&self) -> bool {
        self.only.as_ref().is_none_or(|only| only == E::NAME)
    }

    async fn cost<E: Engine>(&mut self, memory: &Memory, population: &Population) {
        if self.wants::<E>()
            && let Some((table, ratios)) = cost::measure::<E>(memory, population).await
        {
            println!("{}", table.plain());
            self.cost.push((table, ratios));
        }
    }

    async fn growth<E: Engine>(&mut self, most: u64, population: &Population) {
        if self.wants::<E>()
            && let Some((table, curves)) = growth::measure::<E>(most, population).await
        {
            println!("{}", table.plain());
            self.growth.push((table, curves));
        }
    }

    async fn behind<E: Engine>(&mut self, memory: &behind::Memory, population: &Population) {
        if self.wants::<E>()
            && let Some(table) = behind::measure::<E>(memory, population).await
        {
            println!("{}", table.plain());
            self.behind.push(table);
        }
    }

    async fn maintenance<E: Engine>(&mut self, most: u64, population: &Population) {
        if self.wants::<E>()
            && let Some(table) = maintenance::measure::<E>(most, population).await
        {
            println!("{}", table.plain());
            self.maintenance.push(table);
        }
    }

    /// Writes the tables and pictures of the measurements `cost` and `growth` to the files that the
    /// operations page includes. Writes no files for a measurement that did not run.
    fn write(self, most: u64) {
        let (tables, ratios): (Vec<_>, Vec<_>) = self.cost.into_iter().unzip();
        write("cost", most, &tables, || Some(plot::cost(&ratios)));
        let (tables, curves): (Vec<_>, Vec<_>) = self.growth.into_iter().unzip();
        write("growth", most, &tables, || Some(plot::growth(&curves)));
        write("behind", most, &self.behind, || None);
        write("maintenance", most, &self.maintenance, || None);
    }
}

fn write(half: &str, most: u64, tables: &[Table], plot: impl FnOnce() -> Option<String>) {
    if tables.is_empty() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/operations");
    fs::create_dir_all(&folder).unwrap();
    let most = if most == u64::MAX { String::new() } else { format!(" --most {most}") };
    let command = format!("cargo bench --bench stores --all-features -- {half} --write{most}");
    let head = format!("Measured on {} with `{command}`, on {}.\n\n", today(), machine());
    let tables: Vec<String> = tables.iter().map(Table::markdown).collect();
    fs::write(folder.join(format!("{half}.md")), head + &tables.join("\n")).unwrap();
    if let Some(plot) = plot() {
        fs::write(folder.join(format!("{half}.svg")), plot).unwrap();
    }
    progress(&format!("wrote {half} to {}", folder.display()));
}

fn today() -> String {
    SystemClock.now().to_string()[..10].to_owned()
}

/// Returns a text that describes this machine: the number of cores, the processor and the memory.
/// The processor and the memory are known only on Linux, where `/proc` reports them.
fn machine() -> String {
    let told = |file: &str, name: &str| -> String {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        line.map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = told("/proc/meminfo", "MemTotal");
    let memory = memory.split(' ').next().and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or_default();
    let processor = told("/proc/cpuinfo", "model name");
    format!("a machine with {cores} cores ({processor}) and {:.0} GB of memory", memory * 1024.0 / 1e9)
}

// One thread is enough, because the benchmark runs one request at a time. With more threads, the
// measured times would include wake-ups of threads.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("skipped: this benchmark takes 45 minutes (run it with cargo bench --bench stores --all-features)");
        return;
    }
    let wanted = match Wanted::of(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    let most = wanted.most;
    let mut report = Report { only: wanted.only, ..Report::default() };
    if wanted.cost {
        let population = Population::new(cost::IN_PROJECT);
        let whole = |tokens: u64| tokens - tokens % cost::IN_PROJECT;
        let memory = Memory::with(&population, whole(TOKENS.min(most))).await;
        report.cost::<Postgres>(&memory, &population).await;
        report.cost::<Mariadb>(&memory, &population).await;
        report.cost::<Sqlite>(&memory, &population).await;
        drop(memory);
        let memory = Memory::with(&population, whole(Redis::MOST.min(most))).await;
        report.cost::<Redis>(&memory, &population).await;
    }
    if wanted.growth {
        let population = Population::new(growth::IN_PROJECT);
        report.growth::<Postgres>(most, &population).await;
        report.growth::<Mariadb>(most, &population).await;
        report.growth::<Sqlite>(most, &population).await;
        report.growth::<Redis>(most, &population).await;
    }
    if wanted.behind {
        let population = Population::new(cost::IN_PROJECT);
        let tokens = behind::TOKENS.min(most);
        let memory = behind::Memory::with(&population, tokens - tokens % cost::IN_PROJECT).await;
        report.behind::<Postgres>(&memory, &population).await;
        report.behind::<Mariadb>(&memory, &population).await;
        report.behind::<Sqlite>(&memory, &population).await;
        report.behind::<Redis>(&memory, &population).await;
    }
    if wanted.maintenance {
        // Each project has one token, like the project of a user.
        let population = Population::new(1);
        report.maintenance::<Sqlite>(most, &population).await;
        report.maintenance::<Postgres>(most, &population).await;
        report.maintenance::<Mariadb>(most, &population).await;
    }
    if wanted.write {
        report.write(most);
    }
    progress("done");
}
