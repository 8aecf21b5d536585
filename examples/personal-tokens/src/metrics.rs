//! Serves the counters of the process in the text format of Prometheus, version 0.0.4.
//!
//! No counter is kept per token, owner or project. All label values come from a fixed list of
//! words. So there are few series, and the page reveals nothing about people.

use std::fmt::{self, Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use keyfob::{
    Rejection,
    events::{ChangeKind, Event, EventSink, VerificationCounts},
};

use crate::app::App;
use crate::health;

/// Creates the router for operators, which is served on a second address. It serves the metrics and
/// the health checks until the process exits.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .with_state(app)
}

async fn show(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page(&app))
}

/// The names of the events that are counted here. Repeated reports of a leak are not counted.
/// Verifications are not in this list, because keyfob counts them itself.
const ACTS: [&str; 12] = [
    "issued",
    "rotated",
    "revoked",
    "group_revoked",
    "leaked",
    "expiring",
    ChangeKind::Renamed.as_str(),
    ChangeKind::Disabled.as_str(),
    ChangeKind::Enabled.as_str(),
    ChangeKind::Confirmed.as_str(),
    ChangeKind::GraceEnded.as_str(),
    ChangeKind::Narrowed.as_str(),
];

/// An event sink that counts operations and passes each event on to another sink.
pub struct Counted<E> {
    pub acts: Arc<Acts>,
    pub sink: E,
}

impl<E: EventSink> EventSink for Counted<E> {
    fn record(&self, event: &Event<'_>) {
        let is_repeat = matches!(event, Event::Leaked { is_first: false, .. });
        if let Some(place) = ACTS.iter().position(|act| *act == event.name() && !is_repeat) {
            self.acts.told[place].fetch_add(1, Ordering::Relaxed);
        }
        if let Event::GroupRevoked { count, .. } = event {
            self.acts.revoked_in_groups.fetch_add(*count, Ordering::Relaxed);
        }
        self.sink.record(event);
    }
}

/// The counters of the operations on tokens by this process. There is one counter for each kind of
/// operation.
#[derive(Default)]
pub struct Acts {
    told: [AtomicU64; ACTS.len()],
    revoked_in_groups: AtomicU64,
}

/// Returns the page of metrics.
pub fn page(app: &App) -> String {
    let mut page = Page(String::new());
    if let Some(counts) = app.tokens.counts() {
        page.metric("keyfob_verifications_total", "counter", "Verifications of tokens, by outcome.");
        for (outcome, count) in outcomes(&counts) {
            page.labelled("keyfob_verifications_total", "outcome", outcome, count);
        }
        page.counter(
            "keyfob_event_sink_panics_total",
            "Events that were lost because the sink panicked.",
            counts.sink_panics,
        );
    }
    page.metric("keyfob_acts_total", "counter", "Operations on tokens; revoking a group is one operation.");
    for (act, told) in ACTS.iter().zip(&app.acts.told) {
        page.labelled("keyfob_acts_total", "act", act, told.load(Ordering::Relaxed));
    }
    let in_groups = app.acts.revoked_in_groups.load(Ordering::Relaxed);
    page.counter("keyfob_group_revoked_tokens_total", "Tokens that were revoked in groups.", in_groups);

    let cache = app.tokens.store();
    if !cache.max_staleness().is_zero() {
        let counts = cache.counts();
        page.counter("keyfob_cache_hits_total", "Lookups that the cache answered.", counts.hits);
        page.counter("keyfob_cache_misses_total", "Lookups that called the store.", counts.misses);
        page.counter("keyfob_cache_joined_total", "Lookups that waited for the call of another lookup.", counts.joined);
        page.counter("keyfob_cache_fills_lost_total", "Answers of the store that were not cached.", counts.fills_lost);
        page.counter(
            "keyfob_cache_feed_losses_total",
            "Times that the feed was lost, its start included.",
            counts.feed_losses,
        );
        page.gauge("keyfob_cache_entries", "Tokens in the cache.", counts.entries);
        let bound = cache.max_staleness().as_secs_f64();
        page.gauge("keyfob_cache_max_staleness_seconds", "Maximum staleness of the cache.", bound);
        if let Some(age) = counts.feed_age {
            let help = "Time since the feed last delivered; absent without a feed and while it is lost.";
            page.gauge("keyfob_cache_feed_age_seconds", help, age.as_secs_f64());
        }
    }
    let tries = app.accounts.counts();
    let compared = tries.compared.load(Ordering::Relaxed);
    page.counter("personal_tokens_passwords_compared_total", "Passwords that were compared with a hash.", compared);
    let slowed = tries.slowed.load(Ordering::Relaxed);
    page.counter("personal_tokens_passwords_slowed_total", "Passwords refused after too many wrong ones.", slowed);
    let dropped = app.audit.dropped();
    page.counter("personal_tokens_audit_entries_dropped_total", "Entries that the audit trail lost.", dropped);
    let dropped = app.uses.dropped();
    page.counter("personal_tokens_uses_dropped_total", "Uses that were not counted for lack of room.", dropped);
    page.0
}

/// Returns the possible outcomes of a verification, each with its count.
fn outcomes(counts: &VerificationCounts) -> impl Iterator<Item = (&'static str, u64)> + use<'_> {
    let rejected = Rejection::ALL.iter().map(|rejection| (rejection.as_str(), counts.rejected(*rejection)));
    [("verified", counts.verified), ("unavailable", counts.unavailable)].into_iter().chain(rejected)
}

struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) {
        self.metric(name, "counter", help);
        self.line(format_args!("{name} {count}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, "gauge", help);
        self.line(format_args!("{name} {value}"));
    }

    fn labelled(&mut self, name: &str, label: &str, value: &str, count: u64) {
        self.line(format_args!("{name}{{{label}=\"{value}\"}} {count}"));
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}
