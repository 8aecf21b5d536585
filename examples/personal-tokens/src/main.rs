//! `cargo run -p personal-tokens`: see the library beside it.
//!
//! ```text
//! personal-tokens [--addr 127.0.0.1:8088] [--data-dir personal-tokens-data] [--no-never] [--behind-tls]
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keyfob::SystemClock;
use personal_tokens::app::{App, router};
use personal_tokens::setup::{self, Settings, SetupError};
use personal_tokens::tokens::notices;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const HELP: &str = "\
personal-tokens: a small service with personal access tokens

  --addr ADDRESS   where to listen (127.0.0.1:8088)
  --data-dir DIR   where database and pepper are kept (personal-tokens-data)
  --no-never       no tokens that never expire
  --behind-tls     a proxy in front speaks HTTPS: send the cookie by that only
";

struct Args {
    addr: SocketAddr,
    data_dir: PathBuf,
    settings: Settings,
}

fn args() -> Result<Option<Args>, SetupError> {
    let mut parsed = Args {
        addr: SocketAddr::from(([127, 0, 0, 1], 8088)),
        data_dir: "personal-tokens-data".into(),
        settings: Settings::default(),
    };
    let mut given = std::env::args_os().skip(1);
    while let Some(arg) = given.next() {
        let mut value = || given.next().ok_or("an option lacks its value");
        match arg.to_str() {
            Some("--addr") => parsed.addr = value()?.to_string_lossy().parse()?,
            Some("--data-dir") => parsed.data_dir = value()?.into(),
            Some("--no-never") => parsed.settings.allow_never = false,
            Some("--behind-tls") => parsed.settings.behind_tls = true,
            Some("--help" | "-h") => return Ok(None),
            _ => return Err("an option is not known; --help lists them".into()),
        }
    }
    Ok(Some(parsed))
}

/// Writes last uses every few seconds, and asks each minute which tokens are about to end. A failure is logged; what was
/// not done waits.
async fn housekeeping(app: Arc<App>) {
    let mut uses = tokio::time::interval(Duration::from_secs(5));
    let mut ends = tokio::time::interval(Duration::from_secs(60));
    loop {
        tokio::select! {
            _ = uses.tick() => if let Err(error) = app.tokens.flush_usage().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "last uses are not written");
            },
            _ = ends.tick() => if let Err(error) = notices::gather(&app).await {
                tracing::warn!(error = &*error as &dyn std::error::Error, "coming ends are not told");
            },
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("personal-tokens: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), SetupError> {
    let Some(Args { addr, data_dir, settings }) = args()? else {
        print!("{HELP}");
        return Ok(());
    };
    // Requests are not logged: their headers hold tokens.
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stderr).init();

    // The address first: a start that fails for a taken port must not have used up the first sign-in.
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let (app, first) = setup::open(&data_dir, settings, Arc::new(SystemClock)).await?;
    // Before the address is told: whoever reads it may also stop the service at once.
    let mut terminated = signal(SignalKind::terminate())?;
    println!("personal-tokens: http://{addr}/");
    if let Some(first) = first {
        println!("first sign-in, shown this once: name {} password {}", first.name, first.password);
    }
    if !addr.ip().is_loopback() && !settings.behind_tls {
        eprintln!("personal-tokens: {addr} is not loopback; put TLS in front and say --behind-tls");
    }
    let ended = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
    };
    let housekeeping = tokio::spawn(housekeeping(Arc::clone(&app)));
    axum::serve(listener, router(Arc::clone(&app))?).with_graceful_shutdown(ended).await?;
    // What is in memory still: the last uses, and the end of the trail.
    housekeeping.abort();
    app.tokens.flush_usage().await?;
    app.audit.written().await;
    Ok(())
}
