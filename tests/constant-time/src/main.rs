//! Checks with valgrind's memcheck that no branch and no memory address depends on a pepper, a
//! secret, a tag or a digest.
//!
//! The secret bytes are marked as undefined. memcheck reports each branch and each address that
//! depends on undefined bytes. `constant-time check` runs the library's operations on them, and
//! must end without a report. `constant-time control` compares the same bytes in ways that leak,
//! and memcheck must report each of them. `run.sh` runs both.
//!
//! The result holds for the machine code of this build with this compiler. A comparison that leaks
//! in the source but was compiled without a branch is not reported. The check does not cover:
//! - the processor's SHA instructions, because valgrind has none, so the portable hash runs;
//! - instructions whose duration depends on their operands, such as division on some processors,
//!   because memcheck sees only branches and addresses;
//! - parsing and the checksum, which process the secret with tables and are not part of the claim,
//!   so the bytes are marked after them;
//! - building a keyring, once at start, which reports whether two peppers are equal and branches on
//!   that.

mod request;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;

use keyfob::{
    Actor, Clock, Issued, Keyring, Name, NewToken, OwnerId, Pepper, Policy, Prefix, ProjectId, SystemClock,
    keys::KeyNumber, mint, record::Digest, text::TokenText,
};

use request::{mark_secret, publish, reports, runs, unwatched};

/// Project ids of different lengths. They include the shortest and the longest, and lengths 6 and
/// 7: from 7 characters on, the MAC needs another hash block.
const PROJECTS: [&str; 5] = ["0", "145", "5f0c6a", "5f0c6a1", "5f0c6a1e9b7d4c3a8e2f1b0d6c5a4e3f"];
/// The lengths of the parts at the end of a token's text, from the right: checksum, tag and secret.
const CRC: usize = 6;
const TAG: usize = 11;
const SECRET: usize = 33;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let asked = std::env::args().nth(1).unwrap_or_default();
    if !runs() {
        eprintln!("constant-time: not running under valgrind, so nothing is reported");
    }
    let as_expected = match asked.as_str() {
        "check" => check()?,
        "control" => control()?,
        _ => return Err("usage: valgrind constant-time check|control".into()),
    };
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks right and wrong secrets, tags and digests. Returns whether nothing was reported.
fn check() -> Result<bool, Box<dyn Error>> {
    let mut comparisons = 0;
    for project in PROJECTS {
        let issued = issue(&known()?, project)?;
        let other_pepper = issue(&Keyring::new(prefix()?, Pepper::generate()?), project)?;
        // Each check has its own secret keyring, as in a process that has just started.
        for (token, tag_fits) in [(&issued, true), (&other_pepper, false)] {
            let keyring = secret_keyring()?;
            let right = *token.record.digest.as_bytes();
            let text = token.token.expose_secret().as_bytes().to_vec();
            let parsed = TokenText::parse(&text)?;
            mark_secret(secret_and_tag(&text));

            let digest = keyring.digest(&parsed)?;
            assert_eq!(publish(parsed.has_tag_of(&digest)), tag_fits);
            for flipped in [None, Some(0), Some(7), Some(8), Some(31)] {
                let mut stored = Box::new(right);
                flipped.into_iter().for_each(|at: usize| stored[at] ^= 1);
                mark_secret(stored.as_slice());
                let equal = Digest::from_bytes(*stored).ct_eq(&digest);
                assert_eq!(publish(equal), tag_fits && flipped.is_none());
                comparisons += 1;
            }
        }
    }
    println!(
        "check: {} digests of {} projects, {comparisons} comparisons, {} reports",
        2 * PROJECTS.len(),
        PROJECTS.len(),
        reports()
    );
    Ok(reports() == 0)
}

type Comparison = fn(&Vec<u8>, &[u8]) -> bool;

/// Comparisons that leak. Comparing arrays of 32 bytes, or looping over them, is compiled without
/// branches and would prove nothing.
const LEAKS: [(&str, Comparison); 2] =
    [("Vec == slice", |a, b| a == b), ("Ord::cmp", |a, b| a.as_slice().cmp(b).is_eq())];

/// Marks one kind of secret at a time, to show that each kind reaches the comparison. Returns
/// whether every leak was reported.
fn control() -> Result<bool, Box<dyn Error>> {
    let mut all_reported = true;
    for what in ["pepper", "secret", "digest"] {
        let issued = issue(&known()?, "145")?;
        let keyring = if what == "pepper" { secret_keyring()? } else { known()? };
        let text = issued.token.expose_secret().as_bytes().to_vec();
        let parsed = TokenText::parse(&text)?;
        let stored = issued.record.digest.as_bytes().to_vec();
        match what {
            "secret" => mark_secret(secret_and_tag(&text)),
            "digest" => mark_secret(&stored),
            _ => {}
        }
        let digest = keyring.digest(&parsed)?;
        for (name, leak) in LEAKS {
            let before = reports();
            let equal = black_box(leak)(&stored, digest.as_bytes());
            assert!(publish(equal));
            let found = reports() - before;
            println!("control: {what} under {name}: {found} reports");
            all_reported &= found > 0;
        }
    }
    if all_reported {
        // run.sh reads this line, because valgrind's exit code hides that of the program.
        println!("control: every leak was reported");
    }
    Ok(all_reported)
}

fn issue(keyring: &Keyring, project: &str) -> Result<Issued, Box<dyn Error>> {
    let new = NewToken::new(ProjectId::new(project)?, OwnerId::new("ada")?, Name::new("CI")?);
    Ok(mint(keyring, &Policy::default(), new, &Actor::new("ada")?, SystemClock.now())?)
}

fn prefix() -> Result<Prefix, Box<dyn Error>> {
    Ok(Prefix::new("acme_pat")?)
}

fn pepper() -> Vec<u8> {
    (0..32).collect()
}

fn known() -> Result<Keyring, Box<dyn Error>> {
    Ok(Keyring::new(prefix()?, Pepper::new(pepper())?))
}

/// Returns the keyring of [`known`], with its pepper marked as secret.
fn secret_keyring() -> Result<Keyring, Box<dyn Error>> {
    let bytes = pepper();
    let kept_at = bytes.as_ptr();
    let pepper = Pepper::new(bytes)?;
    // The marked bytes must be the pepper's own. If a copy were marked, the check would show
    // nothing.
    assert_eq!(pepper.expose_secret().as_ptr(), kept_at);
    mark_secret(pepper.expose_secret());
    let keyring = {
        let prefix = prefix()?;
        unwatched(|| Keyring::new(prefix, pepper))
    };
    assert_eq!(keyring.minting_key(), KeyNumber::FIRST);
    Ok(keyring)
}

fn secret_and_tag(text: &[u8]) -> &[u8] {
    let end = text.len() - CRC;
    &text[end - TAG - SECRET..end]
}
