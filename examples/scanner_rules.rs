//! Writes the rules by which a secret scanner finds a service's tokens.
//!
//! `cargo run --example scanner_rules --features scan -- acme_pat --format kingfisher > kingfisher.yml`

use std::process::ExitCode;

use keyfob::{Prefix, leak::ScannerFormat};

const USAGE: &str = "usage: scanner_rules PREFIX... --format FORMAT";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| matches!(argument.as_str(), "-h" | "--help")) {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    match rules(&arguments) {
        Ok(rules) => {
            print!("{rules}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n{USAGE}\n--help lists the formats");
            ExitCode::from(2)
        }
    }
}

fn help() -> String {
    let formats: String =
        ScannerFormat::ALL.iter().map(|format| format!("  {:<22} {}\n", format.as_str(), format.file_name())).collect();
    format!("{USAGE}\n\nPrints the rules for tokens of these prefixes. Formats, and names for their files:\n{formats}")
}

/// An error repeats nothing that was given: it may be a token where a prefix was meant.
fn rules(arguments: &[String]) -> Result<String, String> {
    let (mut prefixes, mut format) = (Vec::new(), None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--format" {
            let word = arguments.next().ok_or("--format needs a word behind it")?;
            if format.is_some() {
                return Err("--format is given twice".into());
            }
            format = Some(ScannerFormat::parse(word).map_err(|_| "there is no such format")?);
        } else if argument.starts_with('-') {
            return Err("there is no such option".into());
        } else {
            prefixes.push(
                Prefix::new(argument).map_err(|error| format!("{error} (the prefix number {})", prefixes.len() + 1))?,
            );
        }
    }
    if prefixes.is_empty() {
        return Err("no prefix is given".into());
    }
    Ok(format.ok_or("no format is given")?.rules(&prefixes))
}
