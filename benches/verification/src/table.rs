//! The figures, as tables in Markdown.

use crate::measure::{Beside, Spread};
use crate::peers::Ratios;

/// A table of figures.
struct Part {
    head: &'static str,
    rows: Vec<String>,
}

impl Part {
    const fn new(head: &'static str) -> Self {
        Self { head, rows: Vec::new() }
    }

    fn print(&self) {
        if !self.rows.is_empty() {
            let columns = self.head.matches('|').count() - 1;
            println!("\n{}\n|{}\n{}", self.head, "---|".repeat(columns), self.rows.join("\n"));
        }
    }
}

/// The rows that the README has too.
const README: [&str; 7] = [
    "verify, one token",
    "verify, a million tokens",
    "refuse garbage of a token's length",
    "refuse a token with a typo",
    "refuse a forged token",
    "mint a token",
    "verify through `Cached`",
];

/// The tables so far.
pub struct Table {
    readme: Part,
    floors: Part,
    rows: Part,
    threads: Part,
    allocations: Part,
    guards: Part,
    servers: Part,
    peers: Part,
    checks: Part,
    /// The ratios of the peers, which the picture shows.
    pub ratios: Ratios,
}

impl Table {
    /// Creates empty tables.
    pub fn new() -> Self {
        Self {
            readme: Part::new("| operation | compared with | ratio |"),
            floors: Part::new("| floor | ns |"),
            rows: Part::new("| operation | ns | compared with | ns | ratio | least to most |"),
            threads: Part::new(
                "| work of each thread | threads | throughput / one thread | least to most \
                 | beside the control | least to most |",
            ),
            allocations: Part::new("| accepted request | allocations |"),
            guards: Part::new(
                "| route of axum | µs per request | bare route, µs | beyond it, µs | least to most \
                 | throughput / bare route | least to most |",
            ),
            servers: Part::new("| route on loopback | requests/s | bare route | ratio | least to most |"),
            peers: Part::new("| text | verified with | ns | keyfob / this | least to most |"),
            checks: Part::new("| verified with | what it checks, and what it does not |"),
            ratios: Ratios::new(),
        }
    }

    /// Adds the time of a floor.
    pub fn floor(&mut self, name: &str, nanoseconds: f64) {
        self.floors.rows.push(format!("| {name} | {nanoseconds:.0} |"));
    }

    /// Adds an operation and the floor that it is compared with.
    pub fn row(&mut self, act: &str, floor: &str, Beside { act: ns, floor: floor_ns, ratio }: Beside) {
        if README.contains(&act) {
            self.readme.rows.push(format!("| {act} | {floor} | {:.2} |", ratio.median));
        }
        self.rows.rows.push(format!("| {act} | {ns:.0} | {floor} | {floor_ns:.0} | {} |", spread(&ratio)));
    }

    /// Adds the throughput of several threads.
    pub fn threads(&mut self, work: &str, threads: usize, gain: &Spread, beside: &Spread) {
        let throughput = format!("{work}, {threads} threads | throughput of one thread");
        self.readme.rows.push(format!("| {throughput} | {:.2} |", gain.median));
        self.threads.rows.push(format!("| {work} | {threads} | {} | {} |", spread(gain), spread(beside)));
    }

    /// Adds the number of allocations of an operation.
    pub fn allocations(&mut self, act: &str, allocations: f64) {
        self.allocations.rows.push(format!("| {act} | {allocations} |"));
    }

    /// Adds the processor time of a guarded request, in nanoseconds.
    pub fn guard(&mut self, route: &str, guarded: f64, bare: f64, beyond: &Spread, throughput: &Spread) {
        if route == "keyfob's guard" {
            let more = format!("{:.2} µs more", beyond.median / 1e3);
            self.readme.rows.push(format!("| a guarded request of axum | the route without a guard | {more} |"));
        }
        let [guarded, bare] = [guarded, bare].map(|time| time / 1e3);
        let beyond = Spread { median: beyond.median / 1e3, least: beyond.least / 1e3, most: beyond.most / 1e3 };
        let (beyond, throughput) = (spread(&beyond), spread(throughput));
        self.guards.rows.push(format!("| {route} | {guarded:.2} | {bare:.2} | {beyond} | {throughput} |"));
    }

    /// Adds the throughput of a server on loopback.
    pub fn server(&mut self, route: &str, rate: f64, bare: f64, ratio: &Spread) {
        self.servers.rows.push(format!("| {route} | {rate:.0} | {bare:.0} | {} |", spread(ratio)));
    }

    /// Adds the time of a peer for one kind of text, and keyfob's time divided by it.
    pub fn peer(&mut self, peer: &str, case: &str, nanoseconds: f64, ratio: &Spread) {
        self.peers.rows.push(format!("| {case} | {peer} | {nanoseconds:.0} | {} |", spread(ratio)));
    }

    /// Adds what a peer checks.
    pub fn checks(&mut self, peer: &str, checks: &str) {
        self.checks.rows.push(format!("| {peer} | {checks} |"));
    }

    /// Prints all tables. The last table is that of the README.
    pub fn print(&self) {
        for part in [
            &self.floors,
            &self.rows,
            &self.threads,
            &self.allocations,
            &self.guards,
            &self.servers,
            &self.peers,
            &self.checks,
            &self.readme,
        ] {
            part.print();
        }
    }
}

fn spread(Spread { median, least, most }: &Spread) -> String {
    format!("{median:.2} | {least:.2} to {most:.2}")
}
