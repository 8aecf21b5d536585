//! Benchmark of verification: each operation beside its floor. The floor is what every
//! implementation has to do, written with the crate `hmac` and a `HashMap` of the standard library.
//! An HMAC without the copies that this crate makes is faster, so an operation can be below its
//! floor.
//!
//! ```sh
//! cargo run --release --manifest-path benches/verification/Cargo.toml
//! ```
//!
//! The arguments select parts: `hot`, `refused`, `issue`, `bound`, `layers`, `peers`, `guards`,
//! `cold`, `threads`, `allocations` and `wrk`. Without an argument, all parts run except `wrk`,
//! which measures a server on loopback with the load generator of that name. `--plot FILE` draws
//! the peers as an SVG picture.
//!
//! How to read the figures:
//! - An operation and its floor run by turns in one process. Each ratio is the median of the ratios
//!   of all rounds; beside it are the least and the greatest of them. The times are medians of
//!   processor time.
//! - The service reads the clock of the system, as it does by default. A row says so if a service
//!   has another clock.
//! - The floor of a verification is one HMAC-SHA-256 of the same bytes, plus a look-up of the same
//!   key in a `HashMap` of the same records with its default hasher. `HMAC and look-up in one loop`
//!   is less than the sum, because the processor computes the HMAC while it waits for memory. The
//!   file `floor.rs` never changes, so the ratios of different commits are comparable.
//! - "one token" stays in the processor's caches. Each of "a million tokens" is outside of them.
//! - The throughput of several threads is that of slices in which no other program has interrupted
//!   them. The control is SHA-256 on each thread, which shares nothing. It shows what the processor
//!   gives to a second thread.
//! - All peers verify one token by turns. Peers without a store get a table that is written by
//!   hand: a `HashMap` of shared rows behind an `RwLock`, which checks the expiry.
//! - A guarded request is a call of the router in this process. It contains no network.

mod allocations;
mod floor;
mod heap;
mod http;
mod measure;
mod peers;
#[path = "../../stores/picture.rs"]
#[allow(dead_code, reason = "this benchmark draws no curves")]
mod picture;
mod plot;
mod rows;
mod table;
mod threads;
mod world;
mod wrk;

use table::Table;

/// A part of the benchmark: its name, and a function that adds its figures to the table.
type Part = (&'static str, fn(&mut Table));

/// The part that runs only if it is named, because it needs the program `wrk`.
const WRK: &str = "wrk";

const PARTS: [Part; 11] = [
    ("hot", rows::hot),
    ("refused", rows::refused),
    ("issue", rows::issue),
    ("bound", rows::bound),
    ("layers", rows::layers),
    ("peers", peers::peers),
    ("guards", http::guards),
    ("cold", rows::cold),
    ("threads", threads::contention),
    ("allocations", allocations::allocations),
    (WRK, wrk::throughput),
];

/// The parsed command line.
struct Wanted {
    /// The names of the parts. If there are none, all parts run that need no other program.
    parts: Vec<String>,
    /// The file for the picture of the peers.
    plot: Option<String>,
}

impl Wanted {
    fn of(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wanted = Self { parts: Vec::new(), plot: None };
        while let Some(argument) = arguments.next() {
            if argument == "--plot" {
                wanted.plot = Some(arguments.next().ok_or("--plot needs a file")?);
            } else if PARTS.iter().any(|(known, _)| *known == argument) {
                wanted.parts.push(argument);
            } else {
                let known = PARTS.map(|(name, _)| name).join(", ");
                return Err(format!("unknown argument {argument} (known: {known}, --plot FILE)"));
            }
        }
        Ok(wanted)
    }

    fn has(&self, name: &str) -> bool {
        if self.parts.is_empty() { name != WRK } else { self.parts.iter().any(|part| part == name) }
    }
}

fn main() {
    let wanted = Wanted::of(std::env::args().skip(1)).unwrap_or_else(|error| fail(&error));
    let mut table = Table::new();
    for (name, part) in PARTS {
        if wanted.has(name) {
            eprintln!("measuring {name}");
            part(&mut table);
        }
    }
    table.print();
    if let Some(file) = wanted.plot {
        if table.ratios.is_empty() {
            fail("the picture needs the part peers");
        }
        let written = std::fs::write(&file, plot::peers(&table.ratios));
        written.unwrap_or_else(|error| fail(&format!("cannot write {file}: {error}")));
    }
}

fn fail(error: &str) -> ! {
    eprintln!("{error}");
    std::process::exit(2);
}
