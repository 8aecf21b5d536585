//! `cargo run -p personal-tokens`: see the library beside it, and `--help`.

use std::env;
use std::error::Error;
use std::future::pending;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Prefix, SystemClock,
    leak::{Finder, RedactedLog},
};
use personal_tokens::app::{App, router};
use personal_tokens::args::{Args, DATABASE_URL, HELP};
use personal_tokens::metrics;
use personal_tokens::printed;
use personal_tokens::serve::{Limits, serve};
use personal_tokens::setup::{self, FirstSignIn, PREFIX, SetupError};
use personal_tokens::tokens::{notices, purge};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long requests under way may take to end once the process is told to, and how long the last writing may take.
const GRACE: Duration = Duration::from_secs(10);

/// Starts what the process does on its own: it writes last uses every five seconds, and looks every
/// minute for tokens that are about to end and for GitHub's current keys, every hour for tokens
/// whose issuer has ended, which are refused already, and every day for tokens that ended long ago.
/// Each is a task of its own, so that none waits for another. A failure is logged and retried.
fn housekeeping(app: &Arc<App>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let one = Arc::clone(app);
    tasks.spawn(every(Duration::from_secs(5), async move || {
        if let Err(error) = one.tokens.flush_usage().await {
            tracing::warn!(error = &error as &dyn Error, "last uses are not written");
        }
    }));
    let one = Arc::clone(app);
    tasks.spawn(every(Duration::from_secs(60), async move || {
        if let Err(error) = notices::gather(&one).await {
            tracing::warn!(error = &*error as &dyn Error, "coming ends are not told");
        }
    }));
    let one = Arc::clone(app);
    tasks.spawn(every(Duration::from_secs(60 * 60), async move || {
        if let Err(error) = one.tokens.revoke_orphans().await {
            tracing::warn!(error = &error as &dyn Error, "tokens of ended issuers are not revoked");
        }
    }));
    let one = Arc::clone(app);
    tasks.spawn(every(Duration::from_secs(24 * 60 * 60), async move || {
        if let Err(error) = purge::purge(&one).await {
            tracing::warn!(error = &*error as &dyn Error, "tokens that ended long ago are not deleted");
        }
    }));
    if let Some(github) = app.github.clone() {
        tasks.spawn(every(Duration::from_secs(60), async move || github.keep_keys().await));
    }
    tasks
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
    let Some(Args { addr, metrics_addr, data_dir, settings, reset_password }) = args else {
        print!("{HELP}");
        return Ok(());
    };
    // Requests are not logged: their headers hold tokens.
    // And should one find its way into a line, its secret is not written.
    let log = RedactedLog::new(&Finder::new([Prefix::new(PREFIX)?]), std::io::stderr);
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(log).init();

    if let Some(name) = reset_password {
        return setup::reset_password(&data_dir, &name, |new| {
            let line = format!("new password, shown this once: name {} password {}\n", new.name, new.password);
            printed::secret("the new password", &line)
        })
        .await;
    }
    // The addresses first: a start that fails for a taken port must not have used up the first sign-in.
    let (listener, addr) = bind(addr).await?;
    let metrics_listener = match metrics_addr {
        Some(addr) => Some(bind(addr).await?),
        None => None,
    };
    let behind_tls = settings.behind_tls;
    // Before the address is told: whoever reads it may also stop the service at once.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let address = format!("personal-tokens: http://{addr}/\n");
    let tell = |first: &FirstSignIn| {
        let line = format!("first sign-in, shown this once: name {} password {}\n", first.name, first.password);
        // The password is in the first line, and both lines are one write, so that `| head -1`
        // shows it.
        printed::secret("the first sign-in", &(line + &address))
    };
    let (app, first) = setup::open_telling(&data_dir, settings, Arc::new(SystemClock), tell).await?;
    if first.is_none() {
        printed::line(&address)?;
    }
    if let Some((listener, addr)) = metrics_listener {
        printed::line(&format!("metrics: http://{addr}/metrics\n"))?;
        let limits = Limits { connections: 32, ..Limits::default() };
        // Operators get answers until the process ends.
        tokio::spawn(serve(listener, metrics::router(Arc::clone(&app)), limits, pending()));
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
    let mut housekeeping = housekeeping(&app);
    serve_until_told(listener, &app).await?;
    // Awaited too: what it was writing waits again only once it has ended.
    housekeeping.shutdown().await;
    timeout(GRACE, write_last(&app)).await.map_err(|_| "last uses and audit trail are not written in time")?
}

/// Calls `act` now and then once per interval.
async fn every(time: Duration, act: impl AsyncFn()) {
    let mut times = tokio::time::interval(time);
    loop {
        times.tick().await;
        act().await;
    }
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), SetupError> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// Until the process is told to end, and then for as long as requests under way take, within the grace.
async fn serve_until_told(listener: TcpListener, app: &Arc<App>) -> Result<(), SetupError> {
    let told = Arc::clone(app);
    let serving =
        serve(listener, router(Arc::clone(app))?, Limits::default(), async move { told.health.stopped().await });
    let cut = async {
        app.health.stopped().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = serving => {}
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
