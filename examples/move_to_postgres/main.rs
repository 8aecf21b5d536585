//! Migration from SQLite to PostgreSQL: moves the tokens of a SQLite file into a PostgreSQL
//! database, while services go on verifying tokens.
//!
//! The page `keyfob::guide::operations` describes the steps.
//!
//! ```text
//! DATABASE_URL=postgres://acme@db.internal/acme \
//!     cargo run --release --features sqlite,postgres --example move_to_postgres -- \
//!     tokens.db [--finish | --open | --reopen]
//! ```

mod moving;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use moving::{Failure, Move};

const HELP: &str = "\
move_to_postgres FILE            copies new and changed tokens; repeat this as often as you like
move_to_postgres FILE --finish   refuses writes to the file, copies the rest, compares both sides
move_to_postgres FILE --open     lets PostgreSQL take writes; run it when all services use PostgreSQL
move_to_postgres FILE --reopen   lets the file take writes again; possible only before --open

Set DATABASE_URL to the address of the database. The address is not an argument, because other
users can read the arguments of a process.
";

/// A step of the move. The command-line arguments choose the step.
enum Step {
    Copy,
    Finish,
    Open,
    Reopen,
}

/// Returns the path of the file and the step that the arguments name, or `None` if the arguments
/// are wrong.
fn args() -> Option<(PathBuf, Step)> {
    let mut args = env::args_os().skip(1);
    let file = args.next().filter(|file| !file.to_string_lossy().starts_with('-'))?;
    let step = match args.next() {
        None => Step::Copy,
        Some(step) if step == "--finish" => Step::Finish,
        Some(step) if step == "--open" => Step::Open,
        Some(step) if step == "--reopen" => Step::Reopen,
        Some(_) => return None,
    };
    args.next().is_none().then_some((file.into(), step))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (Some((file, step)), Ok(url)) = (args(), env::var("DATABASE_URL")) else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    match run(file, step, &url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("move_to_postgres: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs one step of the move, and prints its result.
async fn run(file: PathBuf, step: Step, url: &str) -> Result<(), Failure> {
    let mut told = Instant::now();
    let tell = move |act: &str, tokens: u64, all: u64| {
        if told.elapsed() >= Duration::from_secs(1) {
            told = Instant::now();
            eprintln!("{act}: {tokens} of about {all} tokens");
        }
    };
    let mut moving = Move::between(&file, url, tell).await?;
    match step {
        Step::Copy => println!("{}", moving.copy().await?),
        Step::Finish => {
            println!("before the fence: {}", moving.copy().await?);
            let fenced = Instant::now();
            moving.fence().await?;
            eprintln!(
                "the file takes no more writes; if this program is interrupted, run --finish again, or go back with --reopen"
            );
            let finished = moving.finish().await?;
            println!("after the fence: {}", finished.copied);
            println!("{}", finished.compared);
            println!("both sides are equal; writes have been refused for {:.1} s", fenced.elapsed().as_secs_f64());
            eprintln!("now let every service use PostgreSQL, then run --open; or go back with --reopen");
        }
        Step::Open => {
            moving.open().await?;
            println!("PostgreSQL takes writes; the file stays fenced, with the tokens as they were at the move");
        }
        Step::Reopen => {
            moving.reopen().await?;
            println!("the file takes writes again");
        }
    }
    Ok(())
}
