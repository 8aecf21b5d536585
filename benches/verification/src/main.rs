//! Benchmark of verification: each operation beside its floor, the work that no implementation can
//! avoid.
//!
//! ```sh
//! cargo run --release --manifest-path benches/verification/Cargo.toml
//! ```
//!
//! The arguments select parts; without an argument, all parts run. The parts are `hot`, `cold`,
//! `refused`, `issue`, `bound`, `layers`, `threads` and `allocations`.
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

mod allocations;
mod floor;
mod heap;
mod http;
mod measure;
mod rows;
mod table;
mod threads;
mod world;

use table::Table;

/// A part of the benchmark: its name, and a function that adds its figures to the table.
type Part = (&'static str, fn(&mut Table));

const PARTS: [Part; 8] = [
    ("hot", rows::hot),
    ("refused", rows::refused),
    ("issue", rows::issue),
    ("bound", rows::bound),
    ("layers", rows::layers),
    ("cold", rows::cold),
    ("threads", threads::contention),
    ("allocations", allocations::allocations),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_known = |name: &String| PARTS.iter().any(|(known, _)| known == name);
    if let Some(unknown) = wanted.iter().find(|name| !is_known(name)) {
        let known: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        eprintln!("unknown part {unknown} (known: {})", known.join(", "));
        std::process::exit(2);
    }
    let mut table = Table::new();
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name}");
            part(&mut table);
        }
    }
    table.print();
}
