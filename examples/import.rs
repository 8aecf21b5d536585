//! Import of existing tokens: brings the tokens of an earlier system into keyfob by their hashes.
//!
//! The holders of the tokens go on using them. The example imports a million SHA-256 hashes into a
//! SQLite file. Then it verifies some of the old tokens and a new token, and checks that the file
//! does not contain the hashes of these old tokens.
//!
//! `cargo run --release --features sqlite --example import -- 1000000`

use std::collections::HashSet;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyfob::{
    Access, Actor, Invalid, Keyring, Name, NewToken, OwnerId, Pepper, Policy, Prefix, ProjectId, Timestamp, Tokens,
    import::{ImportAlphabet, ImportDigest, ImportHash, ImportOutcome, ImportProgress, ImportShape, ImportToken},
    store::sqlite::SqliteStore,
};
use sha2::{Digest, Sha256};

/// The approximate number of imported tokens that the example verifies after the import. They are
/// spread over all imported tokens.
const SAMPLES: u64 = 2000;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the text of a token of the earlier system: `old-` and 40 hex digits.
fn old_text(number: u64) -> String {
    format!("old-{}", hex(&Sha256::digest(number.to_be_bytes())[..20]))
}

/// Returns the SHA-256 hash that the table of the earlier system stores for a token.
fn old_hash(number: u64) -> [u8; 32] {
    Sha256::digest(old_text(number)).into()
}

/// Returns a row of the earlier system's table, as a token to import.
///
/// The example reads the table project by project, so that the tokens of a batch are close
/// together in most indices. On two busy cores, the import of a million tokens took 106 s in this
/// order and 188 s in random order.
fn read(number: u64) -> Result<ImportToken, Invalid> {
    let digest = ImportDigest::from_text(ImportHash::Sha256, &hex(&old_hash(number)))?;
    let project = ProjectId::new(&format!("p{}", number / 10_000))?;
    let owner = OwnerId::new(&format!("user {}", number / 4))?;
    let made: Timestamp = "2024-02-29T12:00:00Z".parse()?;
    Ok(ImportToken::new(digest, project, owner, Name::new(&format!("token {number}"))?, made))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(folder.path().join("tokens.db")).await?;
    let shape = ImportShape::new("old-", 40..=40, ImportAlphabet::LowerHex, ImportHash::Sha256)?;
    let tokens = Tokens::new(Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?), store.clone())
        .with_imports([shape])
        // The old tokens never expire. The default policy refuses such tokens.
        .with_policy(Policy::default().with_never_expiring(true));

    let (started, mut progress) = (Instant::now(), ImportProgress::default());
    let (step, mut samples) = ((count / SAMPLES).max(1), Vec::new());
    let actor = Actor::new("migration")?;
    for first in (0..count).step_by(1000) {
        let numbers = first..count.min(first + 1000);
        let outcomes = tokens.import(&actor, numbers.clone().map(read).collect()).await?;
        progress.add(&outcomes);
        for (number, outcome) in numbers.zip(outcomes) {
            if let (0, ImportOutcome::Inserted(key)) = (number % step, outcome) {
                samples.push((number, key));
            }
        }
        if progress.total().is_multiple_of(100_000) || progress.total() == count {
            let ImportProgress { inserted, exists, rejected } = progress;
            let rate = progress.total() as f64 / started.elapsed().as_secs_f64();
            println!("{inserted} inserted, {exists} exist, {rejected} rejected; {rate:.0} per second");
        }
    }

    let started = Instant::now();
    for (number, key) in &samples {
        let verified = tokens.verify(&old_text(*number), &Access::to(&key.project, &[])).await?;
        assert_eq!(verified.key(), *key);
    }
    let each = started.elapsed() / samples.len().max(1) as u32;
    println!("verified {} old tokens, {each:.0?} each", samples.len());

    let project = ProjectId::new("p1")?;
    let new = NewToken::new(project, OwnerId::new("ada")?, Name::new("new")?);
    let issued = tokens.issue(&actor, new).await?;
    tokens.verify(issued.token.expose_secret(), &Access::to(&project, &[])).await?;
    println!("verified a new token: {}_...", issued.record.public_part());

    let hashes = samples.iter().map(|(number, _)| old_hash(*number));
    let forms = hashes.flat_map(|hash| {
        [hash.to_vec(), hex(&hash).into(), STANDARD.encode(hash).into(), URL_SAFE_NO_PAD.encode(hash).into()]
    });
    let mut wanted = Wanted::default();
    forms.for_each(|form| wanted.add(&form));
    let mut ids = Wanted::default();
    samples.iter().for_each(|(_, key)| ids.add(key.id.as_str().as_bytes()));
    for name in ["tokens.db", "tokens.db-wal"] {
        wanted.search(&folder.path().join(name))?;
        ids.search(&folder.path().join(name))?;
    }
    // The search finds the ids of all samples. So it would also find their hashes if the files
    // contained them.
    assert_eq!((wanted.found.len(), ids.found.len()), (0, samples.len()));
    let size = folder.path().join("tokens.db").metadata()?.len() >> 20;
    println!("the {size} MiB file and its log contain no hash of {} tokens (as bytes, hex or base64)", samples.len());
    Ok(())
}

/// A search for byte sequences in files. Each sequence has 16 bytes.
#[derive(Default)]
struct Wanted {
    /// The sequences to search for.
    runs: HashSet<[u8; 16]>,
    found: HashSet<[u8; 16]>,
}

impl Wanted {
    /// Adds the first 16 bytes and the last 16 bytes of a text to the sequences to search for.
    fn add(&mut self, text: &[u8]) {
        let runs = [text.first_chunk(), text.last_chunk()].into_iter().flatten().copied();
        self.runs.extend(runs);
    }

    /// Searches a file for the sequences, part by part, and keeps the sequences that it finds. The
    /// parts overlap by 15 bytes, so that the search also finds a sequence at the border of two
    /// parts.
    fn search(&mut self, path: &Path) -> std::io::Result<()> {
        // This table says which pairs of bytes a sequence begins with. Looking up a pair of bytes
        // first keeps the search fast, because at most places in a file no sequence begins.
        let mut begins = vec![false; 1 << 16];
        for run in &self.runs {
            begins[usize::from(u16::from_be_bytes([run[0], run[1]]))] = true;
        }
        let (mut file, mut part, mut kept) = (File::open(path)?, vec![0; 1 << 20], 0);
        loop {
            let read = file.read(&mut part[kept..])?;
            let end = kept + read;
            for at in 0..end.saturating_sub(15) {
                if begins[usize::from(u16::from_be_bytes([part[at], part[at + 1]]))] {
                    self.found.extend(part[at..].first_chunk().filter(|run| self.runs.contains(*run)));
                }
            }
            if read == 0 {
                return Ok(());
            }
            kept = end.min(15);
            part.copy_within(end - kept..end, 0);
        }
    }
}
