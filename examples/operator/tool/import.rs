//! The command `import`: brings the tokens of an earlier system into a store, from a file with one
//! JSON object per line. The example `import.rs` shows the calls that a service uses.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use keyfob::import::{ImportDigest, ImportHash, ImportProgress, ImportStore, ImportToken, Imports, adopt};
use keyfob::record::{Disabled, Revocation, RevocationReason};
use keyfob::store::{DynStore, PageSize};
use keyfob::{Actor, Keyring, Pepper, Tokens};
use serde_json::{Map, Value};

use super::args::ImportOptions;
use super::progress::Progress;
use super::{Failure, context, engine, refuse};

/// The fields of a line. The first five are required.
const FIELDS: [&str; 13] = [
    "hash",
    "project",
    "owner",
    "name",
    "created_at",
    "scopes",
    "metadata",
    "addresses",
    "not_before",
    "expires_at",
    "last_used_at",
    "disabled_at",
    "revoked_at",
];

/// Imports the file, or checks it in a dry run. An import can be repeated: tokens that were
/// imported before stay as they are, except that they are revoked or disabled if the file says so.
///
/// # Errors
/// Returns an error if the file cannot be read, if the store fails, or if lines were rejected. The
/// other lines are imported then.
pub async fn run(options: ImportOptions, mut progress: Progress) -> Result<(), Failure> {
    let pepper = pepper(&options.pepper_file)?;
    let keyring = Keyring::builder(options.prefix).mint_with(options.key, pepper).build()?;
    let what = || format!("cannot read {}", options.file.display());
    let file = File::open(&options.file).map_err(|error| context(what(), error))?;
    let size = file.metadata().map_err(|error| context(what(), error))?.len();
    let tokens = Tokens::new(keyring, engine::store(&options.store).await?);
    progress.begin("import", size);

    let (mut counts, mut wrong, mut read) = (ImportProgress::default(), 0u64, 0);
    let mut lines = BufReader::new(file).lines().enumerate();
    loop {
        let (mut batch, mut ended) = (Vec::new(), true);
        for (number, line) in lines.by_ref().take(PageSize::MAX.get()) {
            let line = line.map_err(|error| context(what(), error))?;
            read += line.len() as u64 + 1;
            ended = false;
            match parse(&line, options.hash, &options.actor) {
                Ok(token) => batch.push((number + 1, token)),
                Err(error) => {
                    wrong += 1;
                    progress.say(&format!("line {}: {error}", number + 1));
                }
            }
        }
        if ended {
            break;
        }
        if options.dry_run {
            for (_, token) in batch {
                let exists = exists(&tokens, token, &options.actor).await?;
                *(if exists { &mut counts.exists } else { &mut counts.inserted }) += 1;
            }
        } else if !batch.is_empty() {
            let rows = batch.into_iter().map(|(_, token)| Ok(token)).collect();
            counts.add(&tokens.import(&options.actor, rows).await?);
        }
        progress.set(read);
    }
    progress.end();
    let ImportProgress { inserted, exists, rejected } = counts;
    let would = if options.dry_run { "would be imported" } else { "imported" };
    println!("{inserted} tokens {would}, {exists} exist already");
    match wrong + rejected {
        0 => Ok(()),
        wrong => refuse(format!("{wrong} lines were rejected (correct them and repeat the import)")),
    }
}

/// Returns whether the token was imported before, under the key of this keyring.
async fn exists(tokens: &Tokens<DynStore>, token: ImportToken, actor: &Actor) -> Result<bool, Failure> {
    let row = adopt(tokens.keyring(), tokens.policy(), &Imports::new([]), token, actor, tokens.now())?;
    Ok(tokens.store().find_imported(&row.import_key).await?.is_some())
}

/// Reads the file of the pepper.
fn pepper(path: &Path) -> Result<Pepper, Failure> {
    let what = || format!("cannot read the pepper file {}", path.display());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = path.metadata().map_err(|error| context(what(), error))?.permissions().mode();
        if mode & 0o077 != 0 {
            return refuse(format!("other users may read the pepper file {0} (run chmod 600 {0})", path.display()));
        }
    }
    let bytes = std::fs::read(path).map_err(|error| context(what(), error))?;
    Pepper::new(bytes).map_err(|error| context(what(), error))
}

/// Parses a line. An error never contains the text of the line, which has a hash.
fn parse(line: &str, hash: ImportHash, actor: &Actor) -> Result<ImportToken, String> {
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else { return Err("not a JSON object".into()) };
    if let Some(unknown) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(format!("unknown field {}", unknown.escape_debug()));
    }
    let digest = required(&fields, "hash")?;
    let digest = ImportDigest::from_text(hash, digest).map_err(|error| format!("hash: {error}"))?;
    let mut token = ImportToken::new(
        digest,
        value(&fields, "project")?,
        value(&fields, "owner")?,
        value(&fields, "name")?,
        value(&fields, "created_at")?,
    );
    if let Some(scopes) = optional(&fields, "scopes")? {
        token.scopes = keyfob::ScopeSet::new(scopes).map_err(|error| format!("scopes: {error}"))?;
    }
    if let Some(metadata) = optional(&fields, "metadata")? {
        token.metadata = keyfob::record::Metadata::new(metadata).map_err(|error| format!("metadata: {error}"))?;
    }
    if let Some(addresses) = optional(&fields, "addresses")? {
        token.addresses =
            keyfob::record::AddressRanges::new(addresses).map_err(|error| format!("addresses: {error}"))?;
    }
    token.not_before = time(&fields, "not_before")?;
    token.expires_at = time(&fields, "expires_at")?;
    token.last_used_at = time(&fields, "last_used_at")?;
    token.disabled = time(&fields, "disabled_at")?.map(|at| Disabled { at, by: actor.clone() });
    token.revoked = time(&fields, "revoked_at")?.map(|at| Revocation {
        at,
        by: actor.clone(),
        reason: RevocationReason::default(),
    });
    Ok(token)
}

fn optional<'f>(fields: &'f Map<String, Value>, name: &str) -> Result<Option<&'f str>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} is not a text")),
    }
}

fn required<'f>(fields: &'f Map<String, Value>, name: &str) -> Result<&'f str, String> {
    optional(fields, name)?.ok_or_else(|| format!("{name} is missing"))
}

fn value<T: std::str::FromStr<Err: std::fmt::Display>>(fields: &Map<String, Value>, name: &str) -> Result<T, String> {
    required(fields, name)?.parse().map_err(|error| format!("{name}: {error}"))
}

fn time(fields: &Map<String, Value>, name: &str) -> Result<Option<keyfob::Timestamp>, String> {
    optional(fields, name)?.map(|text| text.parse().map_err(|error| format!("{name}: {error}"))).transpose()
}
