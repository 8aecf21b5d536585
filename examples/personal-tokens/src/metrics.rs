//! Serves the metrics of the process in the text format of Prometheus, version 0.0.4.
//!
//! No metric is kept per token, owner or project. All label values come from a fixed list of
//! words. So there are few series, and the page reveals nothing about people.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use keyfob::{
    Rejection,
    events::{ChangeKind, Event, EventSink, VerificationCounts},
};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_text::{self, CONTENT_TYPE as TEXT};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::app::App;
use crate::health;
use crate::housekeeping::Job;

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
    ([(CONTENT_TYPE, TEXT)], page(&app))
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

/// The durations of requests until their response begins, by the class of the status.
#[derive(Debug)]
pub struct Requests(Family<[(&'static str, &'static str); 1], Histogram, fn() -> Histogram>);

impl Default for Requests {
    fn default() -> Self {
        const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
        let family = Family::<_, _, fn() -> _>::new_with_constructor(|| Histogram::new(SECONDS));
        // A rate is right from the first request on only if the series was there before.
        for class in CLASSES {
            drop(family.get_or_create(&[("class", class)]));
        }
        Self(family)
    }
}

/// The classes of status codes.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Requests {
    pub fn note(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len());
        self.0.get_or_create(&[("class", CLASSES[class - 1])]).observe(took.as_secs_f64());
    }
}

/// Returns the page of metrics.
pub fn page(app: &Arc<App>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Numbers(Arc::clone(app))));
    let help = "Durations of requests until the response begins, by the class of the status";
    registry.register("personal_tokens_request_seconds", help, app.requests.0.clone());
    let mut page = String::new();
    prometheus_text::encode(&mut page, &registry).expect("writing to a text cannot fail");
    page
}

/// Reads the numbers that other parts of the process count.
struct Numbers(Arc<App>);

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Numbers")
    }
}

impl Collector for Numbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.tokens(&mut page)?;
        self.cache(&mut page)?;
        self.host(&mut page)
    }
}

impl Numbers {
    fn tokens(&self, page: &mut Page<'_>) -> fmt::Result {
        let app = &self.0;
        if let Some(counts) = app.tokens.counts() {
            let help = "Verifications of tokens, by outcome.";
            page.family("keyfob_verifications", help, "outcome", outcomes(&counts))?;
            let help = "Events that were lost because the sink panicked.";
            page.counter("keyfob_event_sink_panics", help, counts.sink_panics)?;
        }
        let told = app.acts.told.iter().map(|told| told.load(Ordering::Relaxed));
        let help = "Operations on tokens; revoking a group is one operation.";
        page.family("keyfob_acts", help, "act", ACTS.into_iter().zip(told))?;
        let in_groups = app.acts.revoked_in_groups.load(Ordering::Relaxed);
        page.counter("keyfob_group_revoked_tokens", "Tokens that were revoked in groups.", in_groups)
    }

    fn cache(&self, page: &mut Page<'_>) -> fmt::Result {
        let cache = self.0.tokens.store();
        if cache.max_staleness().is_zero() {
            return Ok(());
        }
        let counts = cache.counts();
        page.counter("keyfob_cache_hits", "Lookups that the cache answered.", counts.hits)?;
        page.counter("keyfob_cache_misses", "Lookups that called the store.", counts.misses)?;
        page.counter("keyfob_cache_joined", "Lookups that waited for the call of another lookup.", counts.joined)?;
        page.counter("keyfob_cache_fills_lost", "Answers of the store that were not cached.", counts.fills_lost)?;
        let help = "Times that the feed was lost, its start included.";
        page.counter("keyfob_cache_feed_losses", help, counts.feed_losses)?;
        #[allow(clippy::cast_precision_loss, reason = "a cache has fewer than 2^52 tokens")]
        page.gauge("keyfob_cache_entries", "Tokens in the cache.", counts.entries as f64)?;
        let bound = cache.max_staleness().as_secs_f64();
        page.gauge("keyfob_cache_max_staleness_seconds", "Maximum staleness of the cache.", bound)?;
        if let Some(age) = counts.feed_age {
            let help = "Time since the feed last delivered; absent without a feed and while it is lost.";
            page.gauge("keyfob_cache_feed_age_seconds", help, age.as_secs_f64())?;
        }
        Ok(())
    }

    fn host(&self, page: &mut Page<'_>) -> fmt::Result {
        let app = &self.0;
        let tries = app.accounts.counts();
        let compared = tries.compared.load(Ordering::Relaxed);
        let help = "Passwords that were compared with a hash.";
        page.counter("personal_tokens_passwords_compared", help, compared)?;
        let slowed = tries.slowed.load(Ordering::Relaxed);
        let help = "Passwords refused after too many wrong ones.";
        page.counter("personal_tokens_passwords_slowed", help, slowed)?;
        let dropped = app.audit.dropped();
        page.counter("personal_tokens_audit_entries_dropped", "Entries that the audit trail lost.", dropped)?;
        let dropped = app.uses.dropped();
        page.counter("personal_tokens_uses_dropped", "Uses that were not counted for lack of room.", dropped)?;
        let runs = Job::ALL.map(|job| (job.name(), app.housekeeping.runs(job)));
        let help = "Runs of periodic work by this process that ended, by work.";
        page.family("personal_tokens_work_runs", help, "work", runs.map(|(name, runs)| (name, runs.ended)))?;
        let help = "Runs of periodic work by this process that failed, by work.";
        page.family("personal_tokens_work_failures", help, "work", runs.map(|(name, runs)| (name, runs.failed)))
    }
}

/// Returns the possible outcomes of a verification, each with its count.
fn outcomes(counts: &VerificationCounts) -> impl Iterator<Item = (&'static str, u64)> + use<'_> {
    let rejected = Rejection::ALL.iter().map(|rejection| (rejection.as_str(), counts.rejected(*rejection)));
    [("verified", counts.verified), ("unavailable", counts.unavailable)].into_iter().chain(rejected)
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    /// Writes a counter. The format appends `_total` to its name.
    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let counter = ConstCounter::new(count);
        counter.encode(self.0.encode_descriptor(name, help, None, counter.metric_type())?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.0.encode_descriptor(name, help, None, gauge.metric_type())?)
    }

    /// Writes a counter for each value of a label.
    fn family(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in values {
            ConstCounter::new(count).encode(family.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }
}
