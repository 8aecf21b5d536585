//! The operator's tool: its commands, its errors and its exit codes.

pub mod address;
mod args;
mod compare;
mod connection;
mod contract;
pub mod copy;
pub mod dialect;
mod engine;
mod import;
mod keys;
pub mod moving;
mod notices;
pub mod progress;
mod purge;
mod replay;
mod row;
mod scan;
mod side;
mod sql;

use std::error::Error;
use std::fmt;
use std::time::Instant;

use self::args::{Command, HELP};
use self::moving::{Differ, Move};
use self::progress::Progress;

/// The error of a command that failed or was refused.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Returns a failure with a text that says why a command cannot be done.
///
/// # Errors
/// Always returns an error.
pub fn refuse<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(why.into().into())
}

/// A failure with a text that says what failed.
#[derive(Debug)]
struct Context {
    what: String,
    cause: Failure,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Context {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

/// Returns a failure with a text that says what failed, and with its cause.
fn context(what: impl Into<String>, cause: impl Into<Failure>) -> Failure {
    Box::new(Context { what: what.into(), cause: cause.into() })
}

/// Returns the text of a failure and of its causes. Leaves out a cause whose text is in the text
/// before.
pub fn explain(failure: &(dyn Error + Send + Sync + 'static)) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// Runs the command that the arguments name. Returns the exit code.
pub async fn run(args: impl IntoIterator<Item = String>) -> u8 {
    let command = match args::parse(args.into_iter().collect()) {
        Ok(Command::Help) => {
            print!("{HELP}");
            return 0;
        }
        Ok(command) => command,
        Err(error) => {
            eprintln!("operator: {error}\nRun operator --help for the commands.");
            return 2;
        }
    };
    match execute(command).await {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("operator: {}", explain(&*failure));
            if failure.is::<Differ>() { 3 } else { 1 }
        }
    }
}

async fn execute(command: Command) -> Result<(), Failure> {
    let progress = Progress::new();
    match command {
        Command::Help => Ok(()),
        Command::Copy { from, to, dry_run: false } => {
            let moving = Move::between(&from, &to, progress).await?;
            println!("{}", closing(moving, async |moving| moving.copy().await).await?);
            Ok(())
        }
        Command::Copy { from, to, dry_run: true } => {
            let moving = Move::to_plan(&from, &to, progress).await?;
            println!("a copy would do this: {}", closing(moving, async |moving| moving.plan().await).await?);
            Ok(())
        }
        Command::Finish { from, to, writes_stopped } => {
            let moving = Move::between(&from, &to, progress).await?;
            closing(moving, async |moving| finish(moving, writes_stopped).await).await
        }
        Command::Open { from, to } => {
            let moving = Move::between(&from, &to, progress).await?;
            closing(moving, async |moving| moving.open().await).await?;
            println!("TO takes writes; FROM keeps the tokens as they were at the move");
            Ok(())
        }
        Command::Reopen { from, to } => {
            let moving = Move::between(&from, &to, progress).await?;
            closing(moving, async |moving| moving.reopen().await).await?;
            println!("FROM takes writes again");
            Ok(())
        }
        Command::Verify { from, to } => {
            let moving = Move::to_compare(&from, &to, progress).await?;
            let compared = closing(moving, async |moving| moving.compare().await).await?;
            if !compared.is_equal() {
                return Err(Differ(compared.to_string()).into());
            }
            println!("{compared}");
            Ok(())
        }
        Command::Purge { store, kept, dry_run } => purge::run(&store, kept, dry_run, progress).await,
        Command::Keys { store } => keys::run(&store, progress).await,
        Command::Notices { store, days, dry_run } => notices::run(&store, days, dry_run, progress).await,
        Command::Import(options) => import::run(options, progress).await,
    }
}

/// Runs a step of a move and closes its connections. So a SQLite file is complete without its
/// write-ahead log when the tool ends, and an operator can copy it.
async fn closing<T>(mut moving: Move, step: impl AsyncFnOnce(&mut Move) -> Result<T, Failure>) -> Result<T, Failure> {
    let outcome = step(&mut moving).await;
    let closed = moving.close().await;
    // The first error is more useful than an error of the end.
    let value = outcome?;
    closed?;
    Ok(value)
}

async fn finish(moving: &mut Move, writes_stopped: bool) -> Result<(), Failure> {
    if !moving.source_has_fence() {
        if !writes_stopped {
            return refuse(
                "the tool cannot stop the writes to this engine (stop the writes of all services, \
                 then repeat with --writes-stopped)",
            );
        }
    } else {
        println!("before the fence: {}", moving.copy().await?);
    }
    let began = Instant::now();
    if moving.source_has_fence() {
        moving.fence().await?;
        eprintln!(
            "FROM takes no more writes; if this program is interrupted, run finish again, or go back with reopen"
        );
    }
    let finished = moving.finish().await?;
    println!("after the fence: {}", finished.copied);
    println!("{}", finished.compared);
    println!("both stores are equal; writes have been refused for {:.1} s", began.elapsed().as_secs_f64());
    eprintln!("now let every service use TO, then run open; or go back with reopen");
    Ok(())
}
