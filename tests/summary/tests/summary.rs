//! Runs after the tests of all other packages. Prints the engines that these tests started, and the
//! tests that were skipped.

use std::collections::BTreeMap;

/// The engines that need an installed program.
const ENGINES: [&str; 2] = ["PostgreSQL", "Redis"];

fn main() {
    // A test runner calls each test binary with `--list` to list its tests. This binary has none.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let notes = test_summary::take_notes();
    let (mut started, mut skipped) = (BTreeMap::<&str, u64>::new(), Vec::new());
    for line in notes.lines() {
        match line.split_once('\t') {
            Some(("engine", name)) => *started.entry(name).or_default() += 1,
            Some(("skipped", why)) => skipped.push(why),
            _ => panic!("unknown line: {line:?}"),
        }
    }
    println!("\nsummary of this run");
    for (name, times) in &started {
        println!("  tested on {name}, started {times} times");
    }
    for name in ENGINES.iter().filter(|name| !started.keys().any(|started| started.starts_with(**name))) {
        println!("  NOT tested on {name}: no test started it");
    }
    skipped.sort_unstable();
    for why in &skipped {
        println!("  skipped {why}");
    }
    println!("  {} tests skipped because something is not installed\n", skipped.len());
}
