//! Creates certificates for a test, with the program openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// An authority that issues certificates. Its files are deleted when it is dropped.
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key: files in PEM format.
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// Creates an authority. If openssl is not installed, returns `None`, or panics if `CI` is
    /// `true`.
    pub fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            test_summary::missing("openssl is not installed");
            return None;
        }
        let own = Self { folder: tempfile::tempdir().unwrap() };
        // Authorities are found by their names, so two authorities must not share one.
        let name = own.folder.path().file_name().unwrap().to_str().unwrap().replace('.', "");
        own.openssl(&format!("req -x509 {NEW_KEY} -keyout root.key -out root.pem -days 2 -subj /CN={name}"));
        Some(own)
    }

    /// Returns the certificate of the authority, which clients trust.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// Issues a certificate for these names, such as `DNS:localhost,IP:127.0.0.1`.
    pub fn issue(&self, names: &str) -> Certificate {
        let name: String = names.chars().filter(char::is_ascii_alphanumeric).collect();
        fs::write(self.folder.path().join("names"), format!("subjectAltName={names}\n")).unwrap();
        self.openssl(&format!("req {NEW_KEY} -keyout {name}.key -out {name}.request -subj /CN=server"));
        self.openssl(&format!(
            "x509 -req -in {name}.request -CA root.pem -CAkey root.key -CAcreateserial -days 2 -extfile names -out {name}.pem"
        ));
        let file = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        Certificate { certificate: file("pem"), key: file("key") }
    }

    fn openssl(&self, arguments: &str) {
        let folder: &Path = self.folder.path();
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
