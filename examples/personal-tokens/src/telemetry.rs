//! The log and the traces of the process, and the duration of each request.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use keyfob::{
    Prefix,
    leak::{Finder, RedactedLog},
};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::field::Empty;
use tracing::{Instrument, Level, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::app::App;
use crate::setup::{PREFIX, SetupError};

/// The target of the spans that are traces. They are not in the log, and the log is not in them:
/// the secrets of tokens are removed only from the log.
pub const TRACES: &str = "personal_tokens::traces";

/// The form of the lines of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Text,
    /// One JSON object on each line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("--log-format must be text or json"),
        }
    }
}

/// The log and the traces of the process.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts the log, and the traces if `otlp` is the address of a collector, such as
    /// `http://127.0.0.1:4317`. Call this function in a tokio runtime.
    ///
    /// # Errors
    /// Returns an error if the address is malformed.
    pub fn start(format: LogFormat, otlp: Option<&str>) -> Result<Self, SetupError> {
        // Requests are not logged, because their headers hold tokens. If a token reaches a line of
        // the log in another way, its secret is removed from the line.
        let log = RedactedLog::new(&Finder::new([Prefix::new(PREFIX)?]), std::io::stderr);
        let lines = tracing_subscriber::fmt::layer().with_writer(log);
        let lines = match format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let lines = lines.with_filter(filter_fn(|of| is_logged(*of.level(), of.target())));
        let traces = otlp.map(provider).transpose()?;
        let spans = traces.as_ref().map(|traces| {
            let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer("personal-tokens"));
            spans.with_filter(filter_fn(|of| of.target() == TRACES))
        });
        tracing_subscriber::registry().with(lines).with(spans).init();
        Ok(Self { traces })
    }

    /// Sends the last traces.
    pub async fn end(self) {
        let Some(traces) = self.traces else { return };
        // The call blocks until the collector has answered.
        let ended = tokio::task::spawn_blocking(move || traces.shutdown()).await.expect("a shutdown does not panic");
        if let Err(error) = ended {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot send the last traces");
        }
    }
}

/// Returns whether the log has lines of this level and target.
fn is_logged(level: Level, target: &str) -> bool {
    // tower-sessions warns of each malformed and each unknown session id, so a client without a
    // session could fill the log. Its errors are faults of this service, such as a database that
    // cannot store a session.
    let most = if target.starts_with("tower_sessions") { Level::ERROR } else { Level::INFO };
    level <= most && target != TRACES
}

fn provider(address: &str) -> Result<SdkTracerProvider, SetupError> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(address).build()?;
    let resource = Resource::builder().with_service_name("personal-tokens").build();
    // The default sampler follows `traceparent`, with which a client could hide its requests.
    let provider = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOn);
    Ok(provider.with_batch_exporter(exporter).with_resource(resource).build())
}

/// The headers in which a proxy names the trace of a request.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// Measures a request, and makes it a span of its trace. The span has the route instead of the
/// path, because a path may hold the code of an invitation.
pub async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let span = span(&request);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    app.requests.note(status, began.elapsed());
    response
}

/// Returns the span of a request. It costs next to nothing if there are no traces.
fn span(request: &Request) -> Span {
    // A client may invent methods.
    let method = match request.method() {
        known @ (&Method::GET | &Method::HEAD | &Method::POST | &Method::PUT | &Method::PATCH | &Method::DELETE) => {
            known.as_str()
        }
        &Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    };
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let span = info_span!(
        target: TRACES,
        "request",
        otel.name = format!("{method} {route}").trim_end(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    if !span.is_disabled() {
        // An error means that the span is in no trace.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Headers(request.headers())));
    }
    span
}
