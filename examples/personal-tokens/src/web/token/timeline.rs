//! The timeline of a token: the operations on it in sentences.

use keyfob::{Timestamp, TokenId, TokenView, record::RevocationReason};

use crate::leaks::told::Found;
use crate::tokens::act::{Act, Origin};
use crate::tokens::own::Refused;
use crate::tokens::trail::{Entry, With};
use crate::web::plural::counted;
use crate::web::time_words::Time;
use crate::web::token::names::{Named, Names, Who};
use crate::web::token::words;

/// A sentence of the timeline.
pub struct Line {
    pub at: Time,
    pub parts: Vec<Part>,
}

/// A piece of a sentence.
pub enum Part {
    Text(String),
    Token(Named),
    /// A time relative to now.
    Time(Time),
    /// A time that the sentence needs in full.
    Exact(Time),
    /// A text that a stranger wrote, such as the address of a leak.
    Quote(String),
}

/// The report that a token was found in public.
pub struct Leak {
    pub found: Found,
    /// The number of later reports, and the time of the last one.
    pub again: Option<(u64, Timestamp)>,
}

impl Leak {
    /// Returns whether the report revoked the token. If not, the token was revoked before.
    fn has_revoked(&self, view: &TokenView) -> bool {
        view.revoked.as_ref().is_some_and(|revoked| {
            revoked.reason == RevocationReason::KeyCompromise && revoked.by.as_str() == self.found.reporter
        })
    }
}

/// Returns the ids of the tokens that the sentences about these operations name.
pub fn tokens_in(entries: &[Entry]) -> Vec<TokenId> {
    let mut ids = Vec::new();
    for entry in entries {
        ids.extend(Names::token_of(&entry.actor));
        match entry.act {
            Act::Issued(Origin::Replaces(id)) | Act::IssuedToken(id) | Act::Rotated { successor: id, .. } => {
                ids.push(id);
            }
            _ => {}
        }
    }
    ids
}

/// Returns the sentences about operations, in the order of the operations. If the token leaked only
/// after it had been revoked, the report has no entry. Then `leak` becomes a sentence of its own.
pub async fn lines(
    names: &mut Names<'_>,
    view: &TokenView,
    entries: &[Entry],
    leak: Option<&Leak>,
    now: Timestamp,
) -> Result<Vec<Line>, Refused> {
    let mut lines = Vec::with_capacity(entries.len() + 1);
    let mut late = leak.filter(|leak| !leak.has_revoked(view));
    for entry in entries {
        if let Some(leak) = late.take_if(|leak| leak.found.at >= entry.at) {
            lines.push(leaked(leak, "Found in public, after it was revoked", now));
        }
        lines.push(match (entry.act, leak) {
            (Act::Leaked, Some(leak)) => leaked(leak, "Found in public and revoked", now),
            _ => line(names, view, entry, now).await?,
        });
    }
    Ok(lines)
}

fn leaked(leak: &Leak, what: &str, now: Timestamp) -> Line {
    let Leak { found, again } = leak;
    let mut parts = vec![Part::Text(format!("{what}. Reported by {}", words::reporter(&found.reporter)))];
    if !found.url.is_empty() {
        parts.extend([Part::Text(", found at ".into()), Part::Quote(found.url.clone())]);
    }
    if let Some((times, last)) = again {
        let often = counted(*times, "time");
        parts.extend([Part::Text(format!(". Reported again {often}, last ")), Part::Time(Time::ago(*last, now))]);
    }
    Line { at: Time::ago(found.at, now), parts }
}

async fn line(names: &mut Names<'_>, view: &TokenView, entry: &Entry, now: Timestamp) -> Result<Line, Refused> {
    let mut parts = Vec::new();
    let by = match entry.actor.as_str() {
        "" => None,
        actor => Some(names.actor(actor).await?),
    };
    let say = |parts: &mut Vec<Part>, text: &str| parts.push(Part::Text(text.into()));
    match entry.act {
        Act::Issued(origin) => {
            say(&mut parts, "Issued");
            let is_by_token = matches!(by, Some(Who::Token(_)));
            actor(&mut parts, by);
            match origin {
                Origin::New => {}
                Origin::Replaces(id) => {
                    say(&mut parts, " to replace ");
                    parts.push(Part::Token(names.token(id)));
                }
                Origin::Under { bound } => {
                    if let Some(issuer) = view.issuer.filter(|_| !is_by_token) {
                        say(&mut parts, " under ");
                        parts.push(Part::Token(names.token(issuer.id)));
                    }
                    if bound {
                        say(&mut parts, ". It ends with that token");
                    }
                }
            }
        }
        Act::IssuedToken(id) => {
            say(&mut parts, "Issued ");
            parts.push(Part::Token(names.token(id)));
            if matches!(by, Some(Who::Words(_))) {
                say(&mut parts, " under this token");
                actor(&mut parts, by);
            }
        }
        Act::Imported => {
            say(&mut parts, "Imported");
            actor(&mut parts, by);
        }
        Act::Changed(how) => {
            say(&mut parts, words::change(how));
            actor(&mut parts, by);
        }
        Act::Rotated { successor, until } => {
            say(&mut parts, "Replaced by ");
            parts.push(Part::Token(names.token(successor)));
            say(&mut parts, if until > now { ", works until " } else { ", worked until " });
            parts.push(Part::Exact(Time::ahead(until, now)));
            say(&mut parts, ". Rotated");
            actor(&mut parts, by);
        }
        Act::Revoked(reason) => {
            say(&mut parts, "Revoked");
            actor(&mut parts, by);
            // The reason is that of the issuer.
            let reason = words::reason(reason).filter(|_| entry.with != Some(With::Issuer));
            let why: Vec<&str> = [reason, entry.with.map(words::with)].into_iter().flatten().collect();
            if !why.is_empty() {
                say(&mut parts, &format!(": {}", why.join(", ")));
            }
        }
        Act::IssuedRevoked { count, .. } => {
            let tokens = counted(count, "token");
            say(&mut parts, &format!("{tokens} that it had issued ended with it"));
        }
        Act::Leaked => {
            say(&mut parts, "Found in public and revoked. Reported");
            actor(&mut parts, by);
        }
        Act::Expiring(lead) => {
            const DAY: u64 = 24 * 60 * 60 * 1000;
            let days = counted(lead.as_millis().div_ceil(DAY), "day");
            say(&mut parts, &format!("Notice given: it expires within {days}"));
        }
        Act::Unknown => {
            say(&mut parts, "Changed");
            actor(&mut parts, by);
        }
    }
    Ok(Line { at: Time::ago(entry.at, now), parts })
}

/// Adds the actor to a sentence.
fn actor(parts: &mut Vec<Part>, by: Option<Who>) {
    match by {
        None => {}
        Some(Who::Words(words)) => parts.push(Part::Text(format!(" by {words}"))),
        Some(Who::Token(token)) => {
            let by = if token.is_known { " by the token " } else { " by " };
            parts.extend([Part::Text(by.into()), Part::Token(token)]);
        }
    }
}
