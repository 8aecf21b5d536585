//! Checks that the published package contains the sources, the files that the sources include, the
//! examples and the documents, and nothing else.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn packaged() -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["package", "--list", "--allow-dirty", "--offline", "--package", "keyfob"]).current_dir(root());
    let listed = cargo.output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_package_has_only_the_expected_files() {
    let packaged = packaged();
    let mut tops: BTreeSet<&str> = packaged.iter().filter_map(|file| file.split('/').next()).collect();
    // cargo adds this file only in a clean checkout.
    tops.remove(".cargo_vcs_info.json");
    let expected = [
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "Cargo.toml.orig",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "SECURITY.md",
        "examples",
        "src",
    ];
    assert_eq!(tops.into_iter().collect::<Vec<_>>(), expected);
    assert!(!packaged.iter().any(|file| file.contains("personal-tokens")));
    assert!(packaged.contains("examples/quickstart.rs") && packaged.contains("examples/operator/main.rs"));
}

/// If a source file includes a file that is not in the package, every dependent crate fails to
/// build.
#[test]
fn the_package_has_every_included_file() {
    let packaged = packaged();
    let mut included = 0;
    for source in packaged.iter().filter(|file| file.starts_with("src/") && file.ends_with(".rs")) {
        let text = std::fs::read_to_string(root().join(source)).unwrap();
        for path in text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let path = Path::new(source).parent().unwrap().join(path);
            assert!(packaged.contains(&plain(&path)), "{source} includes {path:?}");
            included += 1;
        }
    }
    assert!(included >= 8, "{included}");
}

/// Returns the path with each `..` resolved.
fn plain(path: &Path) -> String {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop()),
            part => plain.push(part),
        }
    }
    plain.to_str().unwrap().to_owned()
}
