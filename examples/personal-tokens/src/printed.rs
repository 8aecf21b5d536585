//! Prints to the standard output. Returns an error if the output fails, for example because the
//! standard output is closed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use crate::setup::SetupError;

/// Prints a text that is shown only once. `what` names the text in an error.
///
/// # Errors
/// Returns an error if the standard output is closed, is `/dev/null`, or cannot be written to.
pub fn secret(what: &str, text: &str) -> Result<(), SetupError> {
    let failed = |why: String| {
        format!(
            "{what} cannot be printed, so nothing was changed: {why} (start again with a terminal or a file as the standard output)"
        )
    };
    // The Rust runtime opens /dev/null in place of a closed standard output, so writing to it would
    // succeed.
    if is_nowhere().map_err(|error| failed(error.to_string()))? {
        return Err(failed("the standard output is closed or /dev/null".into()).into());
    }
    write(text).map_err(|error| failed(error.to_string()).into())
}

/// Prints a line.
///
/// # Errors
/// Returns an error if the standard output cannot be written to.
pub fn line(text: &str) -> Result<(), SetupError> {
    write(text).map_err(|error| format!("{:?} cannot be printed: {error}", text.trim_end()).into())
}

fn write(text: &str) -> io::Result<()> {
    // `Stdout` would write line by line, and a reader that takes one line (`| head -1`) may have
    // closed the pipe before the second line.
    let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Returns whether the standard output is `/dev/null`.
fn is_nowhere() -> io::Result<bool> {
    let out = File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()?;
    let is_device = out.file_type().is_char_device();
    Ok(is_device && fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == out.rdev()))
}
