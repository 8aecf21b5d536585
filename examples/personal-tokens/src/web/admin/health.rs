//! The page that says in words whether the parts of the service work.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use keyfob::{Timestamp, store::cache::CacheCounts};

use crate::app::App;
use crate::housekeeping::{self, Job};
use crate::lease::Last;
use crate::tokens::expiry::in_units;
use crate::tokens::key_counts::Key;
use crate::web::admin::allow;
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::plural::counted;
use crate::web::sessions::SignedIn;
use crate::web::standing::Tone;
use crate::web::time_words;

#[derive(Template)]
#[template(path = "admin_health.html")]
struct HealthPage<'a> {
    frame: Frame<'a>,
    facts: Vec<Fact>,
}

/// The state of one part of the service.
struct Fact {
    part: &'static str,
    tone: Tone,
    says: String,
    /// The name of the metric with the same information for a monitoring system.
    metric: Option<&'static str>,
}

impl Fact {
    fn new(part: &'static str, tone: Tone, says: impl Into<String>, metric: Option<&'static str>) -> Self {
        Self { part, tone, says: says.into(), metric }
    }

    fn word(&self) -> &'static str {
        match self.tone {
            Tone::Good => "Good",
            Tone::Warn => "Attention",
            Tone::Bad => "Bad",
            Tone::Over => "Not used",
        }
    }
}

pub async fn show(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let now = app.tokens.now();
    let failed = app.tokens.counts().map_or(0, |counts| counts.unavailable);
    let (cache, bound) = (app.tokens.store().counts(), app.tokens.store().max_staleness());
    let lost = app.audit.dropped() + app.tokens.counts().map_or(0, |counts| counts.sink_panics);
    let answers = app.health.answers().await;
    let mut facts = vec![store(answers, failed), of_cache(&cache, bound), feed(&cache, bound), trail(lost)];
    let jobs = [
        (Job::Notices, "Notices of expiry"),
        (Job::Purge, "Deletion of old data"),
        (Job::Orphans, "Tokens of ended issuers"),
        (Job::Usage, "Last uses"),
    ];
    for (job, part) in jobs {
        facts.push(of_job(part, job.interval(), housekeeping::last(&app, job).await.as_ref(), now));
    }
    // An administrator needs this page most while a database fails. Then it has no counts.
    facts.push(match app.key_counts.get(&app).await {
        Ok(counts) => of_keys(&counts.keys),
        Err(error) => {
            tracing::warn!(error = &*error as &dyn std::error::Error, "cannot count the tokens of each key");
            Fact::new("Keys", Tone::Bad, "The tokens of each key cannot be counted, because the store fails.", None)
        }
    });
    render(&HealthPage { frame: Frame::new(&app, &signed_in, Here::Health, None).await?, facts })
}

fn store(answers: bool, failed: u64) -> Fact {
    let metric = Some("keyfob_verifications_total{outcome=\"unavailable\"}");
    let (tone, says) = match (answers, failed) {
        (false, _) => {
            (Tone::Bad, "It does not answer within a second. Until it does, requests with tokens get 503.".into())
        }
        (true, 0) => (Tone::Good, "It answers. No verification has failed since the process started.".into()),
        (true, 1) => (Tone::Warn, "It answers. 1 verification has failed since the process started.".into()),
        (true, failed) => {
            (Tone::Warn, format!("It answers. {failed} verifications have failed since the process started."))
        }
    };
    Fact::new("Token store", tone, says, metric)
}

fn of_cache(counts: &CacheCounts, bound: Duration) -> Fact {
    const METRIC: Option<&str> = Some("keyfob_cache_hits_total, keyfob_cache_misses_total");
    if bound.is_zero() {
        return Fact::new(
            "Cache",
            Tone::Over,
            "Each verification reads the store, so a revocation works immediately.",
            None,
        );
    }
    let lookups = counts.hits + counts.misses + counts.joined;
    let rate = match lookups {
        0 => "It has had no lookups yet.".into(),
        _ => format!("It answered {} % of {}.", counts.hits * 100 / lookups, counted(lookups, "lookup")),
    };
    let bound = in_units(bound);
    Fact::new("Cache", Tone::Good, format!("{rate} Its records are at most {bound} old."), METRIC)
}

fn feed(counts: &CacheCounts, bound: Duration) -> Fact {
    const PART: &str = "Feed of changes";
    const METRIC: Option<&str> = Some("keyfob_cache_feed_age_seconds");
    let within = in_units(bound);
    match (bound.is_zero(), counts.feed_losses, counts.feed_age) {
        (true, ..) => Fact::new(PART, Tone::Over, "Without a cache, no feed is needed.", None),
        // The start of a feed counts as one loss, so a cache without losses has no feed.
        (_, 0, _) => {
            let says =
                format!("The store announces no changes. A revocation by another process works within {within}.");
            Fact::new(PART, Tone::Over, says, METRIC)
        }
        (.., None) => {
            let says = format!("It is lost. Until it is back, a revocation by another process works within {within}.");
            Fact::new(PART, Tone::Bad, says, METRIC)
        }
        (_, losses, Some(age)) => {
            let again = match losses - 1 {
                0 => String::new(),
                1 => " It was lost 1 time since the process started.".into(),
                times => format!(" It was lost {times} times since the process started."),
            };
            let age = counted(age.as_secs(), "second");
            Fact::new(PART, Tone::Good, format!("It is connected and last delivered {age} ago.{again}"), METRIC)
        }
    }
}

fn trail(lost: u64) -> Fact {
    let (tone, says) = match lost {
        0 => (Tone::Good, "No entry was lost since the process started.".into()),
        lost => {
            let (entries, was) = (if lost == 1 { "entry" } else { "entries" }, if lost == 1 { "was" } else { "were" });
            (
                Tone::Bad,
                format!("{lost} {entries} {was} lost since the process started, because the database was too slow."),
            )
        }
    };
    let metric = "personal_tokens_audit_entries_dropped_total, keyfob_event_sink_panics_total";
    Fact::new("Audit trail", tone, says, Some(metric))
}

fn of_job(part: &'static str, interval: Duration, last: Option<&Last>, now: Timestamp) -> Fact {
    let every = in_units(interval);
    let (tone, says) = match last {
        None => (Tone::Warn, format!("No process has done it yet. It is due every {every}.")),
        Some(Last { at, error: Some(error), succeeded_at }) => {
            let before = succeeded_at.map_or_else(
                || "It has not succeeded yet.".into(),
                |at| format!("It last succeeded {}.", time_words::ago(at, now)),
            );
            (Tone::Bad, format!("It failed {}: {error}. {before}", time_words::ago(*at, now)))
        }
        Some(Last { at, .. }) => {
            // Some runs take long, so only a long delay needs attention.
            let is_late = now.saturating_since(*at) > interval * 3 + Duration::from_secs(60);
            let tone = if is_late { Tone::Warn } else { Tone::Good };
            (tone, format!("Last done {}, due every {every}.", time_words::ago(*at, now)))
        }
    };
    Fact::new(part, tone, says, None)
}

fn of_keys(keys: &[Key]) -> Fact {
    let missing = keys.iter().any(|key| !key.is_held && key.live > 0);
    let each = keys.iter().map(|key| {
        let missing = if key.is_held { "" } else { ", which this process does not hold" };
        format!("{} on key {}{missing}", counted(key.live, "live token"), key.number.get())
    });
    let tone = if missing { Tone::Bad } else { Tone::Good };
    Fact::new("Keys", tone, format!("{}.", each.collect::<Vec<_>>().join("; ")), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(fact: &Fact, tone: Tone, text: &str) {
        assert!(fact.tone == tone && fact.says.contains(text), "{:?} {}", fact.tone, fact.says);
    }

    #[test]
    fn store_and_trail_in_words() {
        says(&store(true, 0), Tone::Good, "No verification has failed");
        says(&store(true, 1), Tone::Warn, "1 verification has failed");
        says(&store(true, 2), Tone::Warn, "2 verifications have failed");
        says(&store(false, 0), Tone::Bad, "does not answer");
        says(&trail(0), Tone::Good, "No entry was lost");
        says(&trail(1), Tone::Bad, "1 entry was lost");
        says(&trail(2), Tone::Bad, "2 entries were lost");
    }

    #[test]
    fn cache_and_feed_in_words() {
        let bound = Duration::from_secs(30);
        let none = CacheCounts::default();
        says(&of_cache(&none, Duration::ZERO), Tone::Over, "reads the store");
        says(&of_cache(&none, bound), Tone::Good, "no lookups yet");
        let mut used = CacheCounts::default();
        (used.hits, used.misses, used.joined) = (3, 1, 0);
        says(
            &of_cache(&used, bound),
            Tone::Good,
            "It answered 75 % of 4 lookups. Its records are at most 30 seconds old.",
        );
        says(&feed(&none, Duration::ZERO), Tone::Over, "no feed is needed");
        says(&feed(&none, bound), Tone::Over, "announces no changes");
        let mut fed = CacheCounts::default();
        fed.feed_losses = 1;
        says(&feed(&fed, bound), Tone::Bad, "It is lost");
        fed.feed_age = Some(Duration::from_secs(1));
        says(&feed(&fed, bound), Tone::Good, "last delivered 1 second ago.");
        fed.feed_losses = 2;
        says(&feed(&fed, bound), Tone::Good, "It was lost 1 time");
    }

    #[test]
    fn jobs_in_words() {
        let at: Timestamp = "2026-11-29T12:00:00Z".parse().expect("a time");
        let minute = Duration::from_secs(60);
        let job = |outcome: Option<&Last>, later| of_job("Job", minute, outcome, at.saturating_add(later));
        says(&job(None, Duration::ZERO), Tone::Warn, "No process has done it yet");
        let done = Last { at, error: None, succeeded_at: Some(at) };
        says(&job(Some(&done), 4 * minute), Tone::Good, "Last done 4 minutes ago, due every 1 minute.");
        says(&job(Some(&done), 4 * minute + Duration::from_millis(1)), Tone::Warn, "Last done 4 minutes ago");
        let failed = Last { at, error: Some("disk full".into()), succeeded_at: None };
        says(&job(Some(&failed), minute), Tone::Bad, "It failed 1 minute ago: disk full. It has not succeeded");
    }
}
