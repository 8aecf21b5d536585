//! The operator's tool: moves tokens between SQLite, PostgreSQL, MariaDB and Redis while services
//! run, compares stores, purges, counts the use of keys, prints due notices, and imports the tokens
//! of an earlier system.
//!
//! The page `keyfob::guide::operations` says when to run which command.
//!
//! ```text
//! cargo run --release --all-features --example operator -- --help
//! ```

mod tool;

use std::env;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = env::args_os().skip(1).map(std::ffi::OsString::into_string).collect::<Result<Vec<_>, _>>();
    match args {
        Ok(args) => ExitCode::from(tool::run(args).await),
        Err(_) => {
            eprintln!("operator: an argument is not valid UTF-8");
            ExitCode::from(2)
        }
    }
}
