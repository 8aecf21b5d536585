//! The throughput of a server on loopback, measured with the load generator `wrk`.

use std::process::Command;

use crate::http::{Client, Clients};
use crate::measure::Spread;
use crate::table::Table;

/// The number of rounds. A round takes three seconds for each route.
const ROUNDS: usize = 3;

/// Measures the throughput of keyfob's guard beside the bare route. Does nothing if `wrk` is not
/// installed.
pub fn throughput(table: &mut Table) {
    if Command::new("wrk").arg("-v").output().is_err() {
        eprintln!("wrk is not installed, so its part is left out");
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("the runtime starts");
    let clients = Clients::new();
    let routes = [clients.bare, clients.guarded, clients.jwt].map(|client| serve(&runtime, client));
    let mut rates = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        for turn in 0..3 {
            let at = if round % 2 == 0 { turn } else { 2 - turn };
            rates[at].push(requests_per_second(&routes[at]));
        }
    }
    let [bare, guarded, jwt] = rates;
    for (name, rates) in [("keyfob's guard", guarded), ("JSON Web Token", jwt)] {
        let ratios = rates.iter().zip(&bare).map(|(rate, bare)| rate / bare).collect();
        table.server(name, Spread::of(rates).median, Spread::of(bare.clone()).median, &Spread::of(ratios));
    }
}

/// Serves a route on loopback, and returns the arguments with which `wrk` requests it.
fn serve(runtime: &tokio::runtime::Runtime, client: Client) -> [String; 2] {
    let (router, path, authorization) = client.into_parts();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port is free");
    let address = listener.local_addr().expect("the listener has an address");
    runtime.spawn(async { axum::serve(listener, router).await });
    [format!("-HAuthorization: {authorization}"), format!("http://{address}{path}")]
}

fn requests_per_second(arguments: &[String; 2]) -> f64 {
    let output = Command::new("wrk").args(["-t1", "-c32", "-d3s"]).args(arguments).output().expect("wrk runs");
    let text = String::from_utf8(output.stdout).expect("wrk writes text");
    assert!(!text.contains("Non-2xx"), "the server refused requests: {text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).expect("wrk reports the rate");
    rate.trim().parse().expect("the rate is a number")
}
