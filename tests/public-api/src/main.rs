//! Checks that the file `keyfob.txt` lists the public API, and that the version number allows the
//! changes since the last release.
//!
//! The first line of `keyfob.txt` is the version. Each other line is a public item of the crate
//! with all features. So a reviewer sees every change of the API as a change of this file. The
//! check compares the file with the file of the last release:
//! - If a line was removed, the new version must be incompatible with the last release according to
//!   semantic versioning. `cargo update` does not choose such a version in place of the last
//!   release.
//! - If a line was added, the new version must be higher than the last release. From version 1.0.0
//!   on, a higher patch number is not enough.
//!
//! The check does not see a change of behaviour. Some added lines break dependent crates, such as a
//! required method of a trait or a variant of an exhaustive enum. The check does not see that
//! either.

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

use semver::{Comparator, Op, Version};

const USAGE: &str = "public-api-listing (check|write) RUSTDOC_JSON VERSION LISTING [LISTING_OF_THE_LAST_RELEASE]";

struct Listing {
    version: Version,
    items: BTreeSet<String>,
}

impl Listing {
    fn read(text: &str) -> Result<Self, Box<dyn Error>> {
        let (version, items) = text.split_once('\n').ok_or("a listing without a version")?;
        Ok(Self { version: version.parse()?, items: items.lines().map(str::to_owned).collect() })
    }

    fn of(json: &str, version: &str) -> Result<Self, Box<dyn Error>> {
        let api = public_api::Builder::from_rustdoc_json(json).omit_blanket_impls(true).build()?;
        // These are unstable traits of the compiler, which users cannot name.
        let named = |line: &String| {
            !["Freeze", "UnsafeUnpin", "StructuralPartialEq"].iter().any(|hidden| line.contains(hidden))
        };
        Ok(Self { version: version.parse()?, items: api.items().map(|item| item.to_string()).filter(named).collect() })
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.version);
        for item in &self.items {
            text += item;
            text.push('\n');
        }
        text
    }

    /// Returns the reason why this version must not be released after `released`, or `None` if it
    /// may be released.
    fn breach(&self, released: &Self) -> Option<String> {
        let Version { major, minor, patch, .. } = released.version;
        let caret = |op, minor, patch| Comparator { op, major, minor, patch, pre: semver::Prerelease::EMPTY };
        let is_taken = caret(Op::Caret, Some(minor), Some(patch)).matches(&self.version);
        let is_a_patch = caret(Op::Tilde, Some(minor), Some(patch)).matches(&self.version);
        let gone: Vec<&str> = released.items.difference(&self.items).map(String::as_str).collect();
        let has_new = self.items.difference(&released.items).next().is_some();
        if self.version < released.version {
            Some(format!("{} comes before {}", self.version, released.version))
        } else if !gone.is_empty() && is_taken {
            Some(format!(
                "{} breaks crates that depend on {}, which had\n{}",
                self.version,
                released.version,
                gone.join("\n")
            ))
        } else if has_new && (self.version == released.version || (major > 0 && is_a_patch)) {
            Some(format!(
                "{} has items that {} did not have, which needs a higher version number",
                self.version, released.version
            ))
        } else {
            None
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let (mode, json, version, listing, released) = match arguments {
        [mode, json, version, listing] => (mode, json, version, listing, None),
        [mode, json, version, listing, released] => (mode, json, version, listing, Some(released)),
        _ => return Err(USAGE.into()),
    };
    let present = Listing::of(json, version)?;
    match mode.as_str() {
        "write" => fs::write(listing, present.text())?,
        "check" => {
            let listed = Listing::read(&fs::read_to_string(listing)?)?;
            let gone = listed.items.difference(&present.items).map(|item| format!("-{item}"));
            let new = present.items.difference(&listed.items).map(|item| format!("+{item}"));
            let differs: Vec<String> = gone.chain(new).collect();
            if !differs.is_empty() || listed.version != present.version {
                let differs = differs.join("\n");
                return Err(format!(
                    "{listing} lists version {}, this is {}\n{differs}\nto accept the change: bash tests/public-api/run.sh write",
                    listed.version, present.version
                )
                .into());
            }
        }
        _ => return Err(USAGE.into()),
    }
    println!("public API: {} items, version {}", present.items.len(), present.version);
    match released {
        None => println!("public API: no release yet, so nothing can break"),
        Some(released) => {
            let released = Listing::read(&fs::read_to_string(released)?)?;
            if let Some(breach) = present.breach(&released) {
                return Err(breach.into());
            }
            println!("public API: {} may follow {}", present.version, released.version);
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn listing(version: &str, items: &[&str]) -> Listing {
        Listing { version: version.parse().unwrap(), items: items.iter().map(|item| (*item).to_owned()).collect() }
    }

    #[test]
    fn removed_or_new_items_need_a_higher_version() {
        let (both, gone, new) = (["fn a", "fn b"], ["fn a"], ["fn a", "fn b", "fn c"]);
        let cases: [(&str, &str, &[&str], bool); 15] = [
            ("0.1.0", "0.1.0", &both, true),
            ("0.1.0", "0.1.1", &both, true),
            ("0.1.1", "0.1.0", &both, false),
            ("0.1.0", "0.1.0", &new, false),
            ("0.1.0", "0.1.1", &new, true),
            ("0.1.0", "0.1.1", &gone, false),
            ("0.1.0", "0.2.0", &gone, true),
            ("1.2.0", "1.2.1", &both, true),
            ("1.2.0", "1.2.0", &new, false),
            ("1.2.0", "1.2.1", &new, false),
            ("1.2.0", "1.3.0", &new, true),
            ("1.2.0", "1.2.1", &gone, false),
            ("1.2.0", "1.3.0", &gone, false),
            ("1.2.0", "2.0.0", &gone, true),
            ("0.9.0", "1.0.0", &gone, true),
        ];
        for (before, after, items, may) in cases {
            let breach = listing(after, items).breach(&listing(before, &both));
            assert_eq!(breach.is_none(), may, "{before} to {after} with {items:?}: {breach:?}");
        }
    }

    #[test]
    fn a_listing_is_read_as_it_was_written() {
        let written = listing("0.1.0", &["fn a", "fn b"]).text();
        let read = Listing::read(&written).unwrap();
        assert_eq!((read.text(), read.items.len()), (written, 2));
        assert!(Listing::read("").is_err() && Listing::read("fn a\nfn b\n").is_err());
    }
}
