//! Benchmark of verification: each operation beside its floor, the work that no implementation can
//! avoid.
//!
//! ```sh
//! cargo run --release --manifest-path benches/verification/Cargo.toml
//! ```
//!
//! The arguments select parts: `hot`, `refused`, `issue`, `bound`, `layers`, `peers`, `guards`,
//! `cold`, `threads`, `allocations` and `wrk`. Without an argument, all parts run except `wrk`,
//! which measures a server on loopback with the load generator of that name.
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
        if wanted.is_empty() && name != WRK || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name}");
            part(&mut table);
        }
    }
    table.print();
}
