//! Checks with valgrind's tool memcheck that no branch and no memory address depends on a pepper, a
//! secret, a tag or a digest.
//!
//! The program marks the secret bytes as undefined. memcheck reports each branch and each address
//! that depends on undefined bytes. `constant-time check` runs the library's operations on secret
//! bytes, and memcheck must report nothing. `constant-time control` compares secret bytes in ways
//! that leak, and memcheck must report each leak. `run.sh` runs both.
//!
//! The result holds for the machine code that this compiler generated for this build. If the source
//! has a leak but the compiler generated no branch for it, memcheck reports nothing. The check does
//! not cover:
//! - the processor's SHA instructions: valgrind does not support them, so the portable hash
//!   function runs;
//! - instructions whose duration depends on their operands, such as division on some processors:
//!   memcheck sees only branches and addresses;
//! - parsing and the checksum: the checksum looks up the characters of the secret in tables, and
//!   the library does not claim that they are constant-time. So the program marks the bytes as
//!   undefined only after parsing;
//! - building a keyring: this happens once at start, and branches on whether two peppers are equal.

mod request;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;

use keyfob::{
    Actor, Clock, Issued, Keyring, Name, NewToken, OwnerId, Pepper, Policy, Prefix, PresentedToken, ProjectId,
    SystemClock,
    keys::KeyNumber,
    mint,
    record::Digest,
    text::{TokenText, mint_text},
};

use request::{mark_secret, publish, reports, runs, unwatched};

/// Project ids of several lengths, including the shortest and the longest id. From a length of 7
/// on, the MAC needs one more hash block, so the lengths 6 and 7 are included too.
const PROJECTS: [&str; 5] = ["0", "145", "5f0c6a", "5f0c6a1", "5f0c6a1e9b7d4c3a8e2f1b0d6c5a4e3f"];
/// The number of characters of the checksum. A token's text ends with the secret, the tag and the
/// checksum, in this order.
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

/// Lets the library check right and wrong secrets, tags and digests. Returns true if memcheck
/// reported nothing.
fn check() -> Result<bool, Box<dyn Error>> {
    let mut comparisons = 0;
    for project in PROJECTS {
        let issued = issue(&known()?, project)?;
        let other_pepper = issue(&Keyring::new(prefix()?, Pepper::generate()?), project)?;
        // Each digest is computed with a new keyring, as in a process that has just started.
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
        comparisons += fits(project)?;
    }
    println!(
        "check: {} digests of {} projects, {comparisons} comparisons, {} reports",
        2 * PROJECTS.len(),
        PROJECTS.len(),
        reports()
    );
    Ok(reports() == 0)
}

/// Compares a presented token with right, wrong and absent digests. Returns the number of
/// comparisons.
///
/// The presented digest and the stored digest are secret. The digest is marked as undefined after
/// parsing, which branches on whether the tag is right.
fn fits(project: &str) -> Result<usize, Box<dyn Error>> {
    let keyring = known()?;
    let minted = mint_text(&keyring, &ProjectId::new(project)?)?;
    let token = PresentedToken::parse(minted.token.expose_secret(), &keyring)?;
    let right = *minted.digest.as_bytes();
    mark_secret(token.digest().as_bytes());
    let mut comparisons = 0;
    for flipped in [None, Some(0), Some(7), Some(8), Some(31)] {
        let mut stored = Box::new(right);
        flipped.into_iter().for_each(|at: usize| stored[at] ^= 1);
        mark_secret(stored.as_slice());
        let fits = token.fits(Some(&Digest::from_bytes(*stored)));
        assert_eq!(publish(fits), flipped.is_none());
        comparisons += 1;
    }
    assert!(!publish(token.fits(None)));
    Ok(comparisons + 1)
}

type Comparison = fn(&Vec<u8>, &[u8]) -> bool;

/// Two comparisons that branch on the bytes they compare, so memcheck must report both. They
/// compare slices. If they compared arrays of 32 bytes, the compiler would generate no branches.
const LEAKS: [(&str, Comparison); 2] =
    [("Vec == slice", |a, b| a == b), ("Ord::cmp", |a, b| a.as_slice().cmp(b).is_eq())];

/// Runs the comparisons in [`LEAKS`] with the pepper marked as undefined, then with the secret and
/// the tag marked, then with the digest marked, then with the digest of a presented token marked.
/// Returns true if memcheck reported a leak each time. This shows that memcheck follows each of
/// these values to the comparison.
fn control() -> Result<bool, Box<dyn Error>> {
    let keyring = known()?;
    let minted = mint_text(&keyring, &ProjectId::new("145")?)?;
    let token = PresentedToken::parse(minted.token.expose_secret(), &keyring)?;
    let stored = minted.digest.as_bytes().to_vec();
    mark_secret(token.digest().as_bytes());
    let mut all_reported = leaks("presented digest", &stored, token.digest());
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
        all_reported &= leaks(what, &stored, &digest);
    }
    if all_reported {
        // `run.sh` looks for this line, because valgrind's exit code hides the exit code of this
        // program.
        println!("control: every leak was reported");
    }
    Ok(all_reported)
}

/// Compares two equal digests by each of [`LEAKS`]. Returns true if memcheck reported each of them.
fn leaks(what: &str, stored: &Vec<u8>, digest: &Digest) -> bool {
    let mut all_reported = true;
    for (name, leak) in LEAKS {
        let before = reports();
        let equal = black_box(leak)(stored, digest.as_bytes());
        assert!(publish(equal));
        let found = reports() - before;
        println!("control: {what} under {name}: {found} reports");
        all_reported &= found > 0;
    }
    all_reported
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

/// Returns the keyring of [`known`], with the pepper marked as secret.
fn secret_keyring() -> Result<Keyring, Box<dyn Error>> {
    let bytes = pepper();
    let kept_at = bytes.as_ptr();
    let pepper = Pepper::new(bytes)?;
    // The marked bytes must be the bytes that the pepper holds. If a copy were marked, the check
    // would show nothing.
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
