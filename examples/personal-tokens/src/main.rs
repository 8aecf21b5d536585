//! The executable of the service. Start it with `cargo run -p personal-tokens`. The option `--help`
//! lists the options. The library of this package does the work.

use std::env;
use std::future::pending;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keyfob::SystemClock;
use personal_tokens::app::{App, router};
use personal_tokens::args::{Args, Asked};
use personal_tokens::check;
use personal_tokens::first::{self, FirstSignIn};
use personal_tokens::health::Phase;
use personal_tokens::housekeeping::{self, with_causes};
use personal_tokens::metrics;
use personal_tokens::printed;
use personal_tokens::serve::{Limits, serve};
use personal_tokens::setup::{self, SetupError};
use personal_tokens::telemetry::{LogFormat, Telemetry};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// The maximum time for which the process waits for requests in progress after it gets the signal
/// to stop. After that, the process waits up to this time again for its last writes.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("personal-tokens: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Reads the options, starts the log and runs the program. Returns the exit code.
///
/// # Errors
/// Returns an error if an option is wrong, or an error of [`run`]. If the log is in JSON, the error
/// of `run` is a line of the log instead, so that each line of the standard error is an object.
async fn start() -> Result<ExitCode, SetupError> {
    let args = match Args::parse(env::args_os().skip(1), |name| env::var_os(name))? {
        Asked::Text(text) => return printed::line(&text).map(|()| ExitCode::SUCCESS),
        Asked::Run(args) => args,
    };
    let format = args.log_format;
    let telemetry = Telemetry::start(format, args.otlp_endpoint.as_deref())?;
    let outcome = run(*args).await;
    telemetry.end().await;
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if format == LogFormat::Json => {
            tracing::error!("{}", with_causes(&*error));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error),
    }
}

/// Runs the program until the process gets the signal to stop.
///
/// # Errors
/// Returns an error if the data directory is not usable, if an address cannot be bound, or if the
/// last writes fail.
async fn run(args: Args) -> Result<(), SetupError> {
    let Args { addr, metrics_addr, data_dir, settings, drain, check_config, reset_password, .. } = args;
    if check_config {
        let report = check::configuration(&data_dir, &settings).await?;
        return printed::line(&report);
    }
    if let Some(name) = reset_password {
        return first::reset_password(&data_dir, &settings, &name, |new| {
            let line = format!("new password, shown only once: name {} password {}\n", new.name, new.password);
            printed::secret("the new password", &line)
        })
        .await;
    }
    // Bind the addresses first: if a port is taken, the process must fail before it prints the
    // first sign-in, because the first sign-in is printed only once.
    let (listener, addr) = bind(addr).await?;
    let metrics_listener = match metrics_addr {
        Some(addr) => Some(bind(addr).await?),
        None => None,
    };
    let behind_tls = settings.behind_tls;
    // The signal handlers exist before the address is printed, because a program that reads the
    // address may stop the service immediately.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut address = format!("personal-tokens: http://{addr}/\n");
    if let Some((_, addr)) = &metrics_listener {
        address += &format!("metrics: http://{addr}/metrics\n");
    }
    let welcome = check::welcome(&data_dir, &settings, &format!("http://{addr}"));
    let tell = |first: &FirstSignIn| {
        let line = format!("first sign-in, shown only once: name {} password {}\n", first.name, first.password);
        // The password is in the first line, and all lines are one write, so that `| head -1`
        // shows it.
        printed::secret("the first sign-in", &(line + &address + &welcome))
    };
    let (app, first) = setup::open_telling(&data_dir, settings, Arc::new(SystemClock), tell).await?;
    if first.is_none() {
        printed::line(&address)?;
    }
    if let Some((listener, _)) = metrics_listener {
        let limits = Limits { connections: 32, ..Limits::default() };
        // This server runs until the process exits, so that operators can still read the metrics
        // while the last requests end.
        tokio::spawn(serve(listener, metrics::router(Arc::clone(&app)), limits, pending()));
    }
    if !addr.ip().is_loopback() && !behind_tls {
        tracing::warn!("{addr} is not a loopback address: put a proxy with TLS in front and give --behind-tls");
    }
    let stopped = Arc::clone(&app);
    tokio::spawn(async move {
        let mut told = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        told().await;
        stopped.health.enter(Phase::Draining);
        // A second signal ends the time of the drain.
        let _ = timeout(drain, told()).await;
        stopped.health.enter(Phase::Stopping);
    });
    let mut housekeeping = housekeeping::start(&app);
    serve_until_told(listener, &app).await?;
    // Wait until the tasks have ended: if a task is stopped while it writes last uses, these are
    // queued again only after the task has ended.
    housekeeping.shutdown().await;
    timeout(GRACE, write_last(&app))
        .await
        .map_err(|_| "the last uses and the audit trail were not written within ten seconds")?
}

/// Listens on an address. Returns the listener and the address with its actual port.
///
/// # Errors
/// Returns an error that names the address if it cannot be bound.
async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), SetupError> {
    let listener = TcpListener::bind(addr).await.map_err(|error| {
        format!("cannot listen on {addr}: {error} (choose another address with --addr or --metrics-addr)")
    })?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// Serves requests until the process gets the signal to stop, and then waits for the requests in
/// progress, for at most [`GRACE`].
async fn serve_until_told(listener: TcpListener, app: &Arc<App>) -> Result<(), SetupError> {
    let told = Arc::clone(app);
    let serving = serve(listener, router(Arc::clone(app))?, Limits::default(), async move {
        told.health.reached(Phase::Stopping).await
    });
    let cut = async {
        app.health.reached(Phase::Stopping).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = serving => {}
        () = cut => tracing::warn!("requests in progress are cut off after ten seconds"),
    }
    Ok(())
}

/// Writes the data that is only in memory: the last uses, the numbers of uses, and the last entries
/// of the audit trail.
async fn write_last(app: &App) -> Result<(), SetupError> {
    // Run the writes concurrently, so that a slow write does not use up the time of the others.
    let (written, counted, ()) = tokio::join!(app.tokens.flush_usage(), app.uses.write(), app.audit.written());
    written?;
    counted?;
    Ok(())
}
