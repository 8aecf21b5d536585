//! `cargo run -p personal-tokens`: see the library beside it, and `--help`.

use std::env;
use std::error::Error;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{Finder, Prefix, RedactedLog, SystemClock};
use personal_tokens::app::{App, router};
use personal_tokens::args::{Args, DATABASE_URL, HELP};
use personal_tokens::metrics;
use personal_tokens::setup::{self, PREFIX, SetupError};
use personal_tokens::tokens::notices;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// How long requests under way may take to end once the process is told to, and how long the last writing may take.
const GRACE: Duration = Duration::from_secs(10);

/// Writes last uses every few seconds, and asks each minute which tokens are about to end, and whether GitHub's keys are of today.
/// A failure is logged; what was not done waits.
async fn housekeeping(app: Arc<App>) {
    let mut uses = tokio::time::interval(Duration::from_secs(5));
    let mut ends = tokio::time::interval(Duration::from_secs(60));
    let mut keys = tokio::time::interval(Duration::from_secs(60));
    loop {
        tokio::select! {
            _ = uses.tick() => if let Err(error) = app.tokens.flush_usage().await {
                tracing::warn!(error = &error as &dyn Error, "last uses are not written");
            },
            _ = ends.tick() => if let Err(error) = notices::gather(&app).await {
                tracing::warn!(error = &*error as &dyn Error, "coming ends are not told");
            },
            _ = keys.tick() => if let Some(github) = &app.github {
                github.keep_keys().await;
            },
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("personal-tokens: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprint!(": {error}");
                cause = error.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), SetupError> {
    let args = Args::parse(env::args_os().skip(1), env::var_os(DATABASE_URL))?;
    let Some(Args { addr, metrics_addr, data_dir, settings }) = args else {
        print!("{HELP}");
        return Ok(());
    };
    // Requests are not logged: their headers hold tokens.
    // And should one find its way into a line, its secret is not written.
    let log = RedactedLog::new(&Finder::new([Prefix::new(PREFIX)?]), std::io::stderr);
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(log).init();

    // The addresses first: a start that fails for a taken port must not have used up the first sign-in.
    let (listener, addr) = bind(addr).await?;
    let metrics_listener = match metrics_addr {
        Some(addr) => Some(bind(addr).await?),
        None => None,
    };
    let behind_tls = settings.behind_tls;
    let (app, first) = setup::open(&data_dir, settings, Arc::new(SystemClock)).await?;
    // Before the address is told: whoever reads it may also stop the service at once.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    println!("personal-tokens: http://{addr}/");
    if let Some(first) = first {
        println!("first sign-in, shown this once: name {} password {}", first.name, first.password);
    }
    if let Some((listener, addr)) = metrics_listener {
        println!("metrics: http://{addr}/metrics");
        tokio::spawn(axum::serve(listener, metrics::router(Arc::clone(&app))).into_future());
    }
    if !addr.ip().is_loopback() && !behind_tls {
        eprintln!("personal-tokens: {addr} is not loopback; put TLS in front and say --behind-tls");
    }
    let stopped = Arc::clone(&app);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.health.stop();
    });
    let housekeeping = tokio::spawn(housekeeping(Arc::clone(&app)));
    serve(listener, &app).await?;
    // Awaited too: what it was writing waits again only once it has ended.
    housekeeping.abort();
    let _ = housekeeping.await;
    timeout(GRACE, write_last(&app)).await.map_err(|_| "last uses and audit trail are not written in time")?
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), SetupError> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// Until the process is told to end, and then for as long as requests under way take, within the grace.
async fn serve(listener: TcpListener, app: &Arc<App>) -> Result<(), SetupError> {
    let told = Arc::clone(app);
    let serving = axum::serve(listener, router(Arc::clone(app))?)
        .with_graceful_shutdown(async move { told.health.stopped().await });
    let cut = async {
        app.health.stopped().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving.into_future() => served?,
        () = cut => tracing::warn!("requests under way are cut off"),
    }
    Ok(())
}

/// What is in memory still: the last uses, and the end of the trail.
async fn write_last(app: &App) -> Result<(), SetupError> {
    // Side by side: neither is lost because the other takes its time.
    let (written, ()) = tokio::join!(app.tokens.flush_usage(), app.audit.written());
    written?;
    Ok(())
}
