//! Tests the log and the traces of the process.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Number;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::support::process::{Process, Visitor, client, command, whoami};
use crate::support::{WHOAMI, tempdir};

/// A collector that keeps the spans that it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let spans = resources.flat_map(|of| of.scope_spans).flat_map(|scope| scope.spans);
        self.0.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts the collector. Returns it with its address.
    async fn start() -> (Self, SocketAddr) {
        let collector = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let service = TraceServiceServer::new(collector.clone());
        let serving = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(serving);
        (collector, at)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_a_span_that_holds_no_secret() {
    let (collector, at) = Collector::start().await;
    let dir = tempdir();
    let mut process = Process::start(command(dir.path()).args(["--otlp-endpoint", &format!("http://{at}")]), 2);
    let at = process.address();
    let visitor = Visitor::sign_in(&at, process.first()).await;
    let made = visitor.make(&at).await;
    let token = made["token"].as_str().unwrap();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = client().get(format!("{at}{WHOAMI}?q=searched")).bearer_auth(token);
    let request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(client().get(format!("{at}/join/an-invitation-code")).send().await.unwrap().status(), 404);
    // A client must not hide its requests from the traces.
    let request = client().get(format!("{at}/static/icon.svg"));
    let request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-00"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    process.terminate();
    assert!(process.ended().0.success());

    let spans = collector.0.lock().unwrap().clone();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
    let whoami = named("GET /api/v2/auth/whoami");
    let hex: String = whoami.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, trace, "the span belongs to the trace of the proxy");
    let status = |span: &Span| {
        let attribute = span.attributes.iter().find(|attribute| attribute.key == "http.response.status_code");
        attribute.and_then(|attribute| attribute.value.clone()?.value)
    };
    assert_eq!(status(whoami), Some(Number::IntValue(200)));
    assert_eq!(status(named("GET /join/{code}")), Some(Number::IntValue(404)));
    named("POST /sign-in");
    named("GET /static/icon.svg");
    let all = format!("{spans:?}");
    let secret = token.rsplit('_').next().unwrap();
    for hidden in [token, secret, "searched", "an-invitation-code", &process.first().1] {
        assert!(!all.contains(hidden), "{hidden} in {all}");
    }
}

/// A collector that is away must not stop the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_runs_without_its_collector() {
    let dir = tempdir();
    let mut process = Process::start(command(dir.path()).args(["--otlp-endpoint", "http://127.0.0.1:9"]), 2);
    let visitor = Visitor::sign_in(&process.address(), process.first()).await;
    let made = visitor.make(&process.address()).await;
    assert_eq!(whoami(&client(), &process.address(), made["token"].as_str().unwrap()).await.unwrap(), 200);
    process.terminate();
    assert!(process.ended().0.success());
}

/// Otherwise, a client without a session could fill the log.
#[tokio::test]
async fn unknown_and_malformed_session_ids_are_not_logged() {
    let dir = tempdir();
    let mut process = Process::start(&mut command(dir.path()), 2);
    for id in ["malformed", "AAAAAAAAAAAAAAAAAAAAAA"] {
        let request = client().get(format!("{}/settings/tokens", process.address()));
        let answer = request.header("cookie", format!("session={id}")).send().await.unwrap();
        assert_eq!(answer.status(), 303);
    }
    process.terminate();
    assert!(process.ended().0.success());
    assert_eq!(process.log(), "");
}

#[tokio::test]
async fn each_line_of_the_log_is_an_object() {
    let objects = |log: &str| -> Vec<Value> {
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    };
    let dir = tempdir();
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"github_keys": "http://127.0.0.1:9/keys"}"#).unwrap();
    let command = || {
        let mut command = command(dir.path());
        command.args(["--log-format", "json"]);
        command
    };
    let mut process = Process::start(&mut command(), 2);
    while !process.log().contains("cannot fetch GitHub's keys") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    process.terminate();
    process.ended();
    for line in objects(&process.log()) {
        assert!(line["message"].is_string() && line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    std::fs::write(&config, "{").unwrap();
    let output = command().output().unwrap();
    assert!(!output.status.success());
    let lines = objects(&String::from_utf8(output.stderr).unwrap());
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["level"], "ERROR");
    assert!(lines[0]["message"].as_str().unwrap().contains("config.json"), "{lines:?}");
}
