//! The commands of the tool and their options.

use std::path::PathBuf;
use std::time::Duration;

use keyfob::keys::KeyNumber;
use keyfob::{Actor, Prefix, import::ImportHash};

use super::address::Address;

pub const HELP: &str = "\
operator COMMAND …: the maintenance of a store of tokens

Move the tokens from one engine to another, while services run:
  copy FROM TO [--dry-run]   copies new and changed tokens; repeat it as often as you like, also
                             after an interruption
  finish FROM TO [--writes-stopped]
                             copies, makes FROM refuse writes, copies the rest, and compares
  open FROM TO               lets TO take writes; run it when all services use TO
  reopen FROM TO             lets FROM take writes again; possible only before open
  verify FROM TO             compares the counts and digests of each project, and names what differs

Maintenance:
  purge STORE --kept 90d [--dry-run]
                             deletes the records of tokens that ended longer ago
  keys STORE                 counts the tokens of each key number
  notices STORE [--days 30,7,1] [--dry-run]
                             claims the due notices of expiry, prints one line for each, and marks
                             it as sent
  import STORE FILE --prefix PREFIX --pepper-file PATH [--key 1] [--hash sha256|sha512]
         [--actor NAME] [--dry-run]
                             imports the hashes of an earlier system, from one JSON object per line;
                             each line needs the fields hash, project, owner, name and created_at,
                             and may have scopes, metadata, addresses, not_before, expires_at,
                             last_used_at, disabled_at and revoked_at

A dry run changes nothing, and prints what the command would do.

FROM, TO and STORE are addresses:
  sqlite:///var/lib/acme/tokens.db, or a path
  postgres://acme@db.internal/acme
  mysql://acme@db.internal/acme (MariaDB)
  redis://redis.internal:6379 (some nodes of a cluster: with commas between the URLs)
  env:NAME                   the address is in the environment variable NAME; use this form if the
                             address has a password

Other users can read the arguments of a process, so the tool refuses an address with a password
there. It never prints a password or a pepper. The pepper file has the bytes of the pepper, and only
its owner may read it.

Exit codes:
  0  done
  1  failed; repeat the command after you have removed the cause
  2  the command line is wrong
  3  the two stores differ (verify, finish)
";

/// A command with its options.
pub enum Command {
    Help,
    Copy { from: Address, to: Address, dry_run: bool },
    Finish { from: Address, to: Address, writes_stopped: bool },
    Open { from: Address, to: Address },
    Reopen { from: Address, to: Address },
    Verify { from: Address, to: Address },
    Purge { store: Address, kept: Duration, dry_run: bool },
    Keys { store: Address },
    Notices { store: Address, days: Option<Vec<u16>>, dry_run: bool },
    Import(ImportOptions),
}

/// The options of the command `import`.
pub struct ImportOptions {
    pub store: Address,
    pub file: PathBuf,
    pub prefix: Prefix,
    pub pepper_file: PathBuf,
    pub key: KeyNumber,
    pub hash: ImportHash,
    pub actor: Actor,
    pub dry_run: bool,
}

/// The arguments of a command that were not read yet.
struct Rest {
    command: String,
    /// The arguments that are not options, in reverse order.
    places: Vec<String>,
    options: Vec<(String, Option<String>)>,
}

impl Rest {
    /// Separates the options from the other arguments. `flags` are the options without a value.
    fn of(command: String, args: impl Iterator<Item = String>) -> Result<Self, String> {
        const FLAGS: [&str; 2] = ["--dry-run", "--writes-stopped"];
        let (mut args, mut places, mut options) = (args, Vec::new(), Vec::new());
        while let Some(arg) = args.next() {
            if FLAGS.contains(&arg.as_str()) {
                options.push((arg, None));
            } else if let Some((name, value)) = arg.split_once('=').filter(|_| arg.starts_with("--")) {
                options.push((name.to_owned(), Some(value.to_owned())));
            } else if arg.starts_with("--") {
                let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
                options.push((arg, Some(value)));
            } else {
                places.push(arg);
            }
        }
        places.reverse();
        Ok(Self { command, places, options })
    }

    fn place(&mut self, name: &str) -> Result<String, String> {
        self.places.pop().ok_or_else(|| format!("{} needs {name}", self.command))
    }

    fn address(&mut self, name: &str) -> Result<Address, String> {
        let text = self.place(name)?;
        Address::from_argument(&text).map_err(|error| format!("{name}: {error}"))
    }

    fn pair(&mut self) -> Result<(Address, Address), String> {
        let (from, to) = (self.address("FROM")?, self.address("TO")?);
        if from == to { Err("FROM and TO are the same store".into()) } else { Ok((from, to)) }
    }

    fn flag(&mut self, name: &str) -> bool {
        let there = self.options.iter().any(|(option, _)| option == name);
        self.options.retain(|(option, _)| option != name);
        there
    }

    fn value(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(place) = self.options.iter().position(|(option, _)| option == name) else { return Ok(None) };
        match self.options.remove(place).1.filter(|value| !value.is_empty()) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("{name} needs a value")),
        }
    }

    /// Returns the value of an option, or the default if the option is missing.
    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, name: &str, default: &str) -> Result<T, String> {
        let value = self.value(name)?.unwrap_or_else(|| default.to_owned());
        if value.is_empty() {
            return Err(format!("{} needs {name}", self.command));
        }
        value.parse().map_err(|error| format!("{name}: {error}"))
    }

    fn end(self) -> Result<(), String> {
        let Self { command, places, options } = self;
        if let Some((option, _)) = options.first() {
            return Err(format!("{command} has no option {option}, or only once"));
        }
        // The argument itself may be a secret.
        if places.is_empty() { Ok(()) } else { Err(format!("{command} has {} arguments too many", places.len())) }
    }
}

/// Parses the arguments of the process, without its name.
///
/// # Errors
/// Returns a message for the user that names the option and what to do.
pub fn parse(args: Vec<String>) -> Result<Command, String> {
    if args.is_empty() {
        return Err("a command is missing".into());
    }
    if args.iter().any(|arg| ["--help", "-h", "help"].contains(&arg.as_str())) {
        return Ok(Command::Help);
    }
    let mut args = args.into_iter();
    let mut rest = Rest::of(args.next().expect("there is an argument"), args)?;
    let command = match rest.command.as_str() {
        "copy" => rest.pair().map(|(from, to)| Command::Copy { from, to, dry_run: rest.flag("--dry-run") })?,
        "finish" => {
            let (from, to) = rest.pair()?;
            Command::Finish { from, to, writes_stopped: rest.flag("--writes-stopped") }
        }
        "open" => rest.pair().map(|(from, to)| Command::Open { from, to })?,
        "reopen" => rest.pair().map(|(from, to)| Command::Reopen { from, to })?,
        "verify" => rest.pair().map(|(from, to)| Command::Verify { from, to })?,
        "purge" => Command::Purge {
            store: rest.address("STORE")?,
            kept: duration(&rest.parsed::<String>("--kept", "")?)?,
            dry_run: rest.flag("--dry-run"),
        },
        "keys" => Command::Keys { store: rest.address("STORE")? },
        "notices" => Command::Notices {
            store: rest.address("STORE")?,
            days: rest.value("--days")?.map(|days| numbers(&days)).transpose()?,
            dry_run: rest.flag("--dry-run"),
        },
        "import" => Command::Import(import(&mut rest)?),
        other => return Err(format!("there is no command {}", other.escape_debug())),
    };
    rest.end()?;
    Ok(command)
}

fn import(rest: &mut Rest) -> Result<ImportOptions, String> {
    let key: u8 = rest.parsed("--key", "1")?;
    Ok(ImportOptions {
        store: rest.address("STORE")?,
        file: rest.place("FILE")?.into(),
        prefix: rest.parsed("--prefix", "")?,
        pepper_file: rest.parsed::<PathBuf>("--pepper-file", "")?,
        key: KeyNumber::new(key).map_err(|error| format!("--key: {error}"))?,
        hash: match rest.parsed::<String>("--hash", "sha256")?.as_str() {
            "sha256" => ImportHash::Sha256,
            "sha512" => ImportHash::Sha512,
            _ => return Err("--hash must be sha256 or sha512".into()),
        },
        actor: rest.parsed("--actor", "operator")?,
        dry_run: rest.flag("--dry-run"),
    })
}

/// Parses a duration such as `90d`, `12h` or `30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "--kept must be a number with the unit d, h or m, such as 90d".to_owned();
    let seconds = match text.chars().last() {
        Some('d') => 24 * 60 * 60,
        Some('h') => 60 * 60,
        Some('m') => 60,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

fn numbers(text: &str) -> Result<Vec<u16>, String> {
    let number = |number: &str| number.parse().map_err(|_| "--days must be numbers of days, such as 30,7,1".to_owned());
    text.split(',').map(number).collect()
}
