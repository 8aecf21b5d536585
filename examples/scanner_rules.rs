//! Secret scanning: prints rules with which a secret scanner finds the tokens of your service.
//!
//! ```sh
//! cargo run --example scanner_rules --features scan -- \
//!     acme_pat --format kingfisher > kingfisher.yml
//! ```

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
    format!(
        "{USAGE}\n\nPrints the rules for tokens with these prefixes. Formats, each with a name for its file:\n{formats}"
    )
}

/// Returns the scanner rules for the prefixes and the format that the arguments name.
///
/// # Errors
/// Returns a text that describes the problem if an argument is unknown or invalid, if there is no
/// prefix or no format, or if the format is given twice. The text never repeats an argument,
/// because a user may have passed a token instead of a prefix.
fn rules(arguments: &[String]) -> Result<String, String> {
    let (mut prefixes, mut format) = (Vec::new(), None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--format" {
            let word = arguments.next().ok_or("--format needs a value")?;
            if format.is_some() {
                return Err("--format is given twice".into());
            }
            format = Some(ScannerFormat::parse(word).map_err(|_| "unknown format")?);
        } else if argument.starts_with('-') {
            return Err("unknown option".into());
        } else {
            prefixes.push(
                Prefix::new(argument).map_err(|error| format!("{error} (prefix number {})", prefixes.len() + 1))?,
            );
        }
    }
    if prefixes.is_empty() {
        return Err("no prefix is given".into());
    }
    Ok(format.ok_or("no format is given")?.rules(&prefixes))
}
