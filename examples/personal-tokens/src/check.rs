//! What an operator reads before and at the first start: the check of the configuration, and what
//! to try and to back up.

use std::path::Path;

use keyfob::{Keyring, Prefix};

use crate::config::Config;
use crate::key_checks;
use crate::pepper::lost;
use crate::setup::{PREFIX, Settings, SetupError, in_place};

/// Checks the configuration without a change: `config.json`, the pepper, and whether the databases
/// can be reached and have the same pepper. Returns a text with what a start would do.
///
/// # Errors
/// Returns an error in the same cases as a start.
pub async fn configuration(data: &Path, settings: &Settings) -> Result<String, SetupError> {
    let config = Config::read(data, settings.allow_never)?;
    let (tokens_at, state_at) = settings.databases(data);
    let place = settings.pepper(data);
    let pepper = place.read()?;
    let mut report = match &pepper {
        Some(_) => format!("pepper: {place}\n"),
        None => format!("pepper: {place} does not exist; the first start creates it\n"),
    };
    let state = match state_at.is_absent_file() {
        true => None,
        false => Some(settings.connect_state(&state_at).await?),
    };
    if let (Some(db), None) = (&state, &pepper)
        && db.has_table("users").await?
    {
        return Err(lost(&place, &state_at, "people"));
    }
    report += &match &state {
        Some(db) if db.has_table("key_checks").await? => format!("state: {state_at}\n"),
        _ => format!("state: {state_at} is empty; the first start creates its tables\n"),
    };
    if let (Some(db), Some(pepper)) = (&state, pepper) {
        let keyring = Keyring::new(Prefix::new(PREFIX)?, pepper);
        key_checks::compare_in(db, &keyring).await.map_err(|error| in_place(error, &place, &state_at))?;
    }
    if tokens_at != state_at {
        tokens_at.reach().await.map_err(|error| settings.unusable(&tokens_at, &error))?;
        report += &format!("tokens: {tokens_at}\n");
    }
    report += &format!("models: {} in config.json\n", config.models.len());
    Ok(report + "the configuration is in order\n")
}

/// Returns what the first start prints below the sign-in: what to try next, and what to back up.
pub fn welcome(data: &Path, settings: &Settings, origin: &str) -> String {
    let (tokens_at, state_at) = settings.databases(data);
    let pepper = settings.pepper(data).to_string();
    let mut rows = vec![
        (pepper, "the key of all tokens: without it, each token is refused"),
        (state_at.to_string(), "people, projects, sessions, models and the audit trail"),
    ];
    match tokens_at == state_at {
        true => rows[1].1 = "tokens, people, projects, sessions, models and the audit trail",
        false => rows.push((tokens_at.to_string(), "the tokens")),
    }
    let width = rows.iter().map(|(place, _)| place.chars().count()).max().unwrap_or_default();
    let rows: Vec<String> = rows.iter().map(|(place, what)| format!("{place:width$}  {what}\n")).collect();
    format!(
        "\n  Try next  sign in, choose \"Difference engine · 2\", New token, a name, Generate, Copy; then\n            \
         curl -H \"Authorization: Bearer TOKEN\" {origin}/api/v2/auth/whoami\n  \
         Back up   {}  Stop      Ctrl-C, or SIGTERM\n",
        rows.join("            ")
    )
}
