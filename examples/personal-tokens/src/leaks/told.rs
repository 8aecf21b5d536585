//! The alarms about leaked tokens. The owner of a leaked token sees an alarm until the owner
//! dismisses it.

use std::io::Write;

use keyfob::{
    Actor, ProjectId, Timestamp, TokenId, TokenKey,
    leak::{Finder, LeakOutcome, LeakReport, Redactor},
};

use crate::app::App;
use crate::db::query;
use crate::people::accounts::User;
use crate::setup::SetupError;
use crate::tokens::issued;

/// The maximum number of stored characters of the URL at which a token was found.
const MOST_OF_URL: usize = 500;
/// The maximum number of characters that the service reads from the URL at which a token was found.
/// Reading is bounded, because up to a thousand tokens in a report can have the same long URL.
const READ_OF_URL: usize = 2 * MOST_OF_URL;

/// A leaked token whose alarm the owner has not dismissed.
pub struct Leaked {
    pub key: TokenKey,
    pub name: String,
    pub found: Found,
    /// The number of tokens that ended with the leaked token because they were bound to it.
    pub bound_ended: u64,
}

/// The report that a token was found in public.
pub struct Found {
    pub at: Timestamp,
    /// The actor that reported the token.
    pub reporter: String,
    /// The address at which the token was found. Strangers wrote it, so it is shown as text and not
    /// as a link.
    pub url: String,
}

impl Found {
    fn new(app: &App, at: i64, reporter: String, url: &str) -> Result<Self, SetupError> {
        // An earlier version stored more characters.
        Ok(Self { at: Timestamp::from_unix_millis(at)?, reporter, url: shown(&app.finder, url) })
    }
}

/// Stores the alarm about a leaked token. If the token already has an alarm, the alarm keeps its
/// time, reporter and URL, and only its number of ended bound tokens grows.
pub async fn note(app: &App, reporter: &Actor, report: &LeakReport, outcome: &LeakOutcome) -> Result<(), SetupError> {
    let Some(token) = outcome.token() else { return Ok(()) };
    let url = shown(&app.finder, &report.url);
    issued::note_bound(app, token).await?;
    query(
        "INSERT INTO token_leaks (project, token_id, owner, name, at, reporter, url) VALUES (?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO NOTHING",
    )
    .bind(token.project.as_str())
    .bind(token.id.as_str())
    .bind(token.owner.as_str())
    .bind(token.name.as_str())
    .bind(app.tokens.now().as_unix_millis())
    .bind(reporter.as_str())
    .bind(url)
    .execute(&app.db)
    .await?;
    let bound_ended = i64::try_from(outcome.issued().bound_ended).unwrap_or(i64::MAX);
    if bound_ended == 0 {
        return Ok(());
    }
    // If a report fails half-way and is repeated, each try may end some of the bound tokens. So the
    // counts are added.
    query(
        "INSERT INTO leaked_issuers (project, token_id, bound_ended) VALUES (?, ?, ?) ON CONFLICT (project, token_id) \
         DO UPDATE SET bound_ended = leaked_issuers.bound_ended + excluded.bound_ended",
    )
    .bind(token.project.as_str())
    .bind(token.id.as_str())
    .bind(bound_ended)
    .execute(&app.db)
    .await?;
    Ok(())
}

/// Returns a URL in a form that is safe to store and to show. First removes characters that are
/// invisible or reverse the text, and then redacts the secrets of tokens. The order matters: an
/// invisible character within a secret would hide the second part of the secret from the redaction.
fn shown(finder: &Finder, url: &str) -> String {
    let url: String = url.chars().filter(|letter| keyfob::record::is_shown(*letter)).take(READ_OF_URL).collect();
    let mut redactor = Redactor::new(finder, Vec::new());
    // A `Vec` accepts every write.
    let _ = redactor.write_all(url.as_bytes());
    String::from_utf8_lossy(redactor.get_ref()).chars().take(MOST_OF_URL).collect()
}

/// Returns at most `most` leaked tokens whose alarm the person has not dismissed, and the number of
/// further such tokens. The latest leaks come first, except that tokens that are bound to another
/// token come last.
pub async fn of_user(app: &App, user: &User, most: u32) -> Result<(Vec<Leaked>, usize), SetupError> {
    let rows: Vec<(String, String, String, i64, String, String, i64)> = query(
        "SELECT project, token_id, name, at, reporter, url, coalesce(bound_ended, 0) FROM token_leaks \
         LEFT JOIN leaked_issuers USING (project, token_id) LEFT JOIN bound_tokens AS bound USING (project, token_id) \
         WHERE owner = ? AND seen = 0 ORDER BY bound.token_id IS NOT NULL, at DESC, token_id LIMIT ?",
    )
    .bind(user.owner_id().as_str())
    .bind(most)
    .fetch_all(&app.db)
    .await?;
    let all: i64 = query("SELECT count(*) FROM token_leaks WHERE owner = ? AND seen = 0")
        .bind(user.owner_id().as_str())
        .value(&app.db)
        .await?;
    let more = usize::try_from(all)?.saturating_sub(rows.len());
    let mut leaked = Vec::with_capacity(rows.len());
    for (project, id, name, at, reporter, url, bound_ended) in rows {
        let key = TokenKey { project: ProjectId::new(&project)?, id: TokenId::new(&id)? };
        let found = Found::new(app, at, reporter, &url)?;
        leaked.push(Leaked { key, name, found, bound_ended: u64::try_from(bound_ended)? });
    }
    Ok((leaked, more))
}

/// Returns the first report that a token was leaked, whether or not its owner has dismissed the
/// alarm. Returns `None` if there is no report.
pub async fn of_token(app: &App, key: &TokenKey) -> Result<Option<Found>, SetupError> {
    let row: Option<(i64, String, String)> =
        query("SELECT at, reporter, url FROM token_leaks WHERE project = ? AND token_id = ?")
            .bind(key.project.as_str())
            .bind(key.id.as_str())
            .fetch_optional(&app.db)
            .await?;
    row.map(|(at, reporter, url)| Found::new(app, at, reporter, &url)).transpose()
}

/// Dismisses the alarm of a leaked token.
pub async fn seen(app: &App, user: &User, key: &TokenKey) -> Result<(), SetupError> {
    query("UPDATE token_leaks SET seen = 1 WHERE project = ? AND token_id = ? AND owner = ?")
        .bind(key.project.as_str())
        .bind(key.id.as_str())
        .bind(user.owner_id().as_str())
        .execute(&app.db)
        .await?;
    Ok(())
}

/// Dismisses all alarms of a person.
pub async fn all_seen(app: &App, user: &User) -> Result<(), SetupError> {
    query("UPDATE token_leaks SET seen = 1 WHERE owner = ? AND seen = 0")
        .bind(user.owner_id().as_str())
        .execute(&app.db)
        .await?;
    Ok(())
}
