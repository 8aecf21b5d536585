//! The pepper: where it comes from, and its file.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyfob::Pepper;

use crate::engine::Database;
use crate::random;
use crate::setup::SetupError;

/// Where the pepper is. Display names the place. Debug and Display do not show the pepper.
#[derive(Clone)]
pub enum Place {
    /// A file in the data directory, which the first start creates.
    DataDir(PathBuf),
    /// A file that an option names. It must exist.
    File(PathBuf),
    /// A credential of systemd, which is a file in a directory of this process. It must exist.
    Credential(PathBuf),
    /// An environment variable, whose value is the pepper in base64.
    Variable { name: &'static str, value: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataDir(path) | Self::File(path) | Self::Credential(path) => path.display().fmt(f),
            Self::Variable { name, .. } => write!(f, "the environment variable {name}"),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Place {
    /// Reads the pepper. Returns `None` if it is to be created in the data directory.
    ///
    /// # Errors
    /// Returns an error that names the place if other users may read the file, if the file cannot
    /// be read, or if the place holds no valid pepper.
    pub fn read(&self) -> Result<Option<Pepper>, SetupError> {
        let bytes =
            match self {
                Self::DataDir(path) => read(path, OTHERS)?,
                Self::File(path) => Some(read(path, OTHERS)?.ok_or_else(|| missing(path))?),
                Self::Credential(path) => Some(read(path, OTHERS_OF_CREDENTIAL)?.ok_or_else(|| missing(path))?),
                // The error of the decoder would show a part of the value.
                Self::Variable { value, .. } => Some(STANDARD.decode(value.trim()).map_err(|_| {
                    format!("{self} must have the pepper in base64: openssl rand -base64 32 makes one")
                })?),
            };
        let invalid =
            |_| format!("the pepper in {self} must have 32 to 1024 random bytes: restore it from its back-up");
        Ok(bytes.map(Pepper::new).transpose().map_err(invalid)?)
    }
}

/// The rights of a file that let other users read it.
const OTHERS: u32 = 0o077;
/// The rights of a credential that do so. systemd may grant the read to this process with an access
/// control list, and the rights of the group then show the most that the list grants.
const OTHERS_OF_CREDENTIAL: u32 = 0o037;

/// Returns the error that the file of `--pepper-file` does not exist.
fn missing(path: &Path) -> String {
    let path = path.display();
    format!(
        "there is no pepper {path}, which --pepper-file names: restore it from its back-up, or if no token exists yet, \
         make one (openssl rand -out {path} 32, chmod 600 {path})"
    )
}

/// Returns the error that a database has people or tokens, but the pepper is missing. With a new
/// pepper, every existing token would be refused as if it were forged.
pub fn lost(place: &Place, database: &Database, what: &str) -> SetupError {
    format!("{database} has {what}, but there is no pepper: restore {place} from its back-up").into()
}

/// Reads the bytes of the pepper from its file. Returns `None` if the file does not exist. The file
/// must have none of the rights `others`.
fn read(path: &Path, others: u32) -> Result<Option<Vec<u8>>, SetupError> {
    let failed = |error: io::Error| format!("the pepper {} cannot be read: {error}", path.display());
    let mode = match path.metadata() {
        Ok(metadata) => metadata.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error).into()),
    };
    if mode & others != 0 {
        let path = path.display();
        return Err(format!("other users may read the pepper {path}: run chmod 600 {path}").into());
    }
    Ok(Some(std::fs::read(path).map_err(failed)?))
}

/// Creates a pepper and its file. If another process has created the file at the same time, returns
/// the pepper of that file. The bytes are written to a temporary file, which is then linked to
/// `path`. So the file at `path` is always complete, and no process overwrites the file of another
/// process.
///
/// # Errors
/// Returns an error that names the file if the file cannot be written.
pub fn make(path: &Path) -> Result<Pepper, SetupError> {
    write(path).map_err(|error| {
        format!("the pepper {} cannot be written: {error} (choose another directory with --data-dir)", path.display())
            .into()
    })
}

fn write(path: &Path) -> Result<Pepper, SetupError> {
    let pepper = Pepper::generate()?;
    let aside = path.with_extension(random::hex128()?);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    // The umask can only remove rights. This call also removes rights that a default ACL grants.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(pepper.expose_secret())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    let pepper = match linked {
        Ok(()) => pepper,
        // Another process that started at the same time was faster: use its pepper.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Pepper::new(read(path, OTHERS)?.ok_or("the file was created and removed at the same time; start again")?)?
        }
        Err(error) => return Err(error.into()),
    };
    // Synchronize the directory, which holds the name of the file.
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(pepper)
}
