//! The table of the figures.

use crate::measure::Beside;

/// The figures so far. The figures are printed as Markdown, as the README has them.
#[derive(Default)]
pub struct Table {
    floors: Vec<String>,
    rows: Vec<String>,
}

impl Table {
    /// Adds the time of a floor.
    pub fn floor(&mut self, name: &str, nanoseconds: f64) {
        self.floors.push(format!("| {name} | {nanoseconds:.0} |"));
    }

    /// Adds an operation and the floor that it is compared with.
    pub fn row(&mut self, act: &str, floor: &str, Beside { act: ns, floor: floor_ns, ratio }: Beside) {
        let spread = format!("{:.2} to {:.2}", ratio.least, ratio.most);
        self.rows.push(format!("| {act} | {ns:.0} | {floor} | {floor_ns:.0} | {:.2} | {spread} |", ratio.median));
    }

    /// Prints all figures.
    pub fn print(&self) {
        if !self.floors.is_empty() {
            println!("\n| floor | ns |\n|---|---|\n{}", self.floors.join("\n"));
        }
        if !self.rows.is_empty() {
            println!("\n| operation | ns | compared with | ns | ratio | least to most |\n|---|---|---|---|---|---|");
            println!("{}", self.rows.join("\n"));
        }
    }
}
