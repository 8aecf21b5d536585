//! The figures, as tables in Markdown.

use crate::measure::{Beside, Spread};

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

/// The tables so far.
pub struct Table {
    floors: Part,
    rows: Part,
    threads: Part,
    allocations: Part,
}

impl Table {
    /// Creates empty tables.
    pub fn new() -> Self {
        Self {
            floors: Part::new("| floor | ns |"),
            rows: Part::new("| operation | ns | compared with | ns | ratio | least to most |"),
            threads: Part::new(
                "| work of each thread | threads | throughput / one thread | least to most | beside the control | least to most |",
            ),
            allocations: Part::new("| accepted request | allocations |"),
        }
    }

    /// Adds the time of a floor.
    pub fn floor(&mut self, name: &str, nanoseconds: f64) {
        self.floors.rows.push(format!("| {name} | {nanoseconds:.0} |"));
    }

    /// Adds an operation and the floor that it is compared with.
    pub fn row(&mut self, act: &str, floor: &str, Beside { act: ns, floor: floor_ns, ratio }: Beside) {
        self.rows.rows.push(format!("| {act} | {ns:.0} | {floor} | {floor_ns:.0} | {} |", spread(&ratio)));
    }

    /// Adds the throughput of several threads.
    pub fn threads(&mut self, work: &str, threads: usize, gain: &Spread, beside: &Spread) {
        self.threads.rows.push(format!("| {work} | {threads} | {} | {} |", spread(gain), spread(beside)));
    }

    /// Adds the number of allocations of an operation.
    pub fn allocations(&mut self, act: &str, allocations: f64) {
        self.allocations.rows.push(format!("| {act} | {allocations} |"));
    }

    /// Prints all tables.
    pub fn print(&self) {
        for part in [&self.floors, &self.rows, &self.threads, &self.allocations] {
            part.print();
        }
    }
}

fn spread(Spread { median, least, most }: &Spread) -> String {
    format!("{median:.2} | {least:.2} to {most:.2}")
}
