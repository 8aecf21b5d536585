//! What a service could use instead of keyfob, in the same process and by turns.

mod by_hash;
mod keyfob_itself;
pub mod signed;
mod table;

use std::hint::black_box;

use crate::floor::Floor;
use crate::measure::{Act, Times, act, by_turns};
use crate::table::Table;
use crate::world::{Population, Ring};
use keyfob::MemoryStore;

/// A way to verify tokens.
pub struct Peer {
    name: &'static str,
    texts: Texts,
    /// Returns whether the text is a valid token.
    verify: Box<dyn Fn(&str) -> bool>,
    /// What the peer checks and what it does not check, as its source shows.
    checks: &'static str,
}

/// The texts that a peer verifies.
pub struct Texts {
    valid: String,
    /// The valid text with one wrong character of the same alphabet.
    typo: String,
    /// Random letters of the length of a token.
    garbage: String,
    /// A well-formed token that the service did not issue.
    forged: String,
}

impl Texts {
    /// Creates the texts from a valid token and from a token of another service. The character at
    /// `wrong` gets a typo.
    fn new(valid: String, forged: String, wrong: usize) -> Self {
        let mut typo = valid.clone().into_bytes();
        typo[wrong] = if typo[wrong] == b'B' { b'C' } else { b'B' };
        let garbage = valid.bytes().enumerate().map(|(at, _)| b"xq7Zk0Rw"[at * 5 % 8] as char).collect();
        Self { typo: String::from_utf8(typo).expect("a token is ASCII"), garbage, valid, forged }
    }
}

/// The kinds of text that are measured.
pub const CASES: [&str; 4] = ["valid", "typo", "garbage", "forged"];

/// The median ratio of each peer and kind of text to an HMAC, in the order of [`CASES`].
pub type Ratios = Vec<(&'static str, [f64; 4])>;

/// Measures all peers.
pub fn peers(table: &mut Table) {
    let peers = [
        keyfob_itself::service(),
        keyfob_itself::coarse_clock(),
        by_hash::by_hand(),
        by_hash::sealwd(),
        by_hash::latchkey(),
        table::tower_sessions(),
        by_hash::prefixed_api_key(),
        by_hash::api_keys_simplified(),
        signed::jsonwebtoken(),
    ];
    let mut ratios: Ratios = peers.iter().map(|peer| (peer.name, [0.0; 4])).collect();
    for (at, case) in CASES.into_iter().enumerate() {
        let times = measured(&peers, case);
        table.floor(&format!("HMAC, beside the peers, {case}"), times.median("HMAC"));
        for (peer, (_, ratios)) in peers.iter().zip(&mut ratios) {
            ratios[at] = times.beside(peer.name, &["HMAC"]).ratio.median;
            table.peer(peer.name, case, times.median(peer.name), &times.beside(peers[0].name, &[peer.name]).ratio);
        }
    }
    for peer in &peers {
        table.checks(peer.name, peer.checks);
    }
    table.ratios = ratios;
}

/// Measures how long each peer takes for one kind of text.
fn measured(peers: &[Peer], case: &str) -> Times {
    let population = Population::new(1, &MemoryStore::new());
    let (hmac, mut ring) = (Floor::new(), Ring::new(&population.texts, 0));
    let mut acts: Vec<(&str, Act<'_>)> = vec![("HMAC", act(|| hmac.hmac(ring.next())))];
    for Peer { name, texts, verify, .. } in peers {
        let (text, is_valid) = match case {
            "valid" => (&texts.valid, true),
            "typo" => (&texts.typo, false),
            "garbage" => (&texts.garbage, false),
            _ => (&texts.forged, false),
        };
        assert_eq!(verify(text), is_valid, "{name}: {case}");
        acts.push((name, act(move || verify(black_box(text)))));
    }
    by_turns(acts)
}
