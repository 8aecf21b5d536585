//! Moves the tokens of a keyfob SQLite file into a PostgreSQL database, while services go on verifying with the file: the page
//! `keyfob::guide::operations` says how to use it, step by step.
//!
//! ```text
//! DATABASE_URL=postgres://acme@db.internal/acme \
//!     cargo run --release --features sqlite,postgres --example move_to_postgres -- tokens.db [--finish | --open | --reopen]
//! ```

mod moving;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use moving::{Failure, Move};

const HELP: &str = "\
move_to_postgres FILE            copies what PostgreSQL has not yet; again and again, at any time
move_to_postgres FILE --finish   no more writes to the file; copies the rest, and compares all of it
move_to_postgres FILE --open     behind --finish, once every service uses PostgreSQL: writes to it
move_to_postgres FILE --reopen   back, as long as PostgreSQL is not open: writes to the file again

The database is in the environment variable DATABASE_URL, as others can read a command line.
";

enum Step {
    Copy,
    Finish,
    Open,
    Reopen,
}

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
            eprintln!("the file takes no more writes; if this breaks off, run --finish again, or --reopen");
            let finished = moving.finish().await?;
            println!("behind the fence: {}", finished.copied);
            println!("{}", finished.compared);
            println!("equal, after {:.1} s without writes", fenced.elapsed().as_secs_f64());
            eprintln!("now let every service use PostgreSQL, then --open; or go back by --reopen");
        }
        Step::Open => {
            moving.open().await?;
            println!("PostgreSQL takes writes; the file is what it was at the move, and stays fenced");
        }
        Step::Reopen => {
            moving.reopen().await?;
            println!("the file takes writes again");
        }
    }
    Ok(())
}
