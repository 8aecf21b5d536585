//! Writes the files that the scanners search: 12 kinds of files with tokens and look-alikes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use keyfob::{Keyring, Name, NewToken, OwnerId, Policy, Prefix, ProjectId, leak::ScannerFormat, mint};

use crate::support::{BASE62, actor, now, pepper};

pub const PREFIXES: [&str; 2] = ["acme_pat", "acme_test_pat"];
const PROJECTS: [&str; 3] = ["0", "145", "5f0c6a1e9b7d4c3a8e2f1b0d6c5a4e3f"];
const TOKENS: usize = 1000;

/// For each kind of file: its name, the text before the tokens, the text for each token, and the
/// text after the tokens. In the text for a token, `{n}` is a unique number.
///
/// No line begins with the word key, token, secret or password. On such a line, ripsecrets first
/// tries its own pattern, which ignores values that look like words. The rules for ripsecrets name
/// this limit.
const KINDS: [(&str, &str, &str, &str); 12] = [
    (".env", "", "ACME_TOKEN_{n}={token}\n", ""),
    (".netrc", "", "machine api{n}.example login ci password {token}\n", ""),
    ("Dockerfile", "FROM scratch\n", "ENV ACME_TOKEN_{n}={token}\n", ""),
    ("access.log", "", "192.0.2.1 - - \"GET /v1/items/{n}?access_token={token} HTTP/1.1\" 200\n", ""),
    ("call.sh", "#!/bin/sh\n", "curl -H \"Authorization: Bearer {token}\" https://api.example/{n}\n", ""),
    ("client.js", "", "const client{n} = connect(\"{token}\");\n", ""),
    ("client.py", "", "client{n} = Client(\"{token}\")\n", ""),
    ("clients.json", "[\n", "  {\"id\": {n}, \"token\": \"{token}\"},\n", "  {}\n]\n"),
    ("clients.xml", "<clients>\n", "  <client id=\"{n}\"><token>{token}</token></client>\n", "</clients>\n"),
    ("clients.yaml", "clients:\n", "  - id: {n}\n    token: {token}\n", ""),
    ("notes.md", "# Notes\n\n", "{n}. It answers to `{token}`.\n", ""),
    ("settings.toml", "", "[client.{n}]\napi_token = \"{token}\"\n", ""),
];

pub struct Tree {
    folder: tempfile::TempDir,
    pub tokens: BTreeSet<String>,
    pub look_alikes: BTreeSet<String>,
}

impl Tree {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tree")).unwrap();
        let rings = PREFIXES.map(|prefix| Keyring::new(Prefix::new(prefix).unwrap(), pepper()));
        let mut tree = Self { folder, tokens: BTreeSet::new(), look_alikes: BTreeSet::new() };
        let mut texts = KINDS.map(|(_, before, _, _)| before.to_owned());
        for number in 0..TOKENS {
            let ring = &rings[number % rings.len()];
            let project = PROJECTS[number / 7 % PROJECTS.len()];
            let (token, look_alike) = (fresh(ring, project), look_alike(&fresh(ring, project), number));
            let (kind, text) = (KINDS[number % KINDS.len()], &mut texts[number % KINDS.len()]);
            for (number, token) in [(2 * number, &token), (2 * number + 1, &look_alike)] {
                *text += &kind.2.replace("{n}", &number.to_string()).replace("{token}", token);
            }
            assert!(tree.tokens.insert(token) && tree.look_alikes.insert(look_alike));
        }
        for ((name, _, _, behind), text) in KINDS.into_iter().zip(texts) {
            fs::write(tree.path().join(name), text + behind).unwrap();
        }
        tree
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("tree")
    }

    /// Returns the folder that contains the folder of the scanned files. The rules and reports are
    /// also in this folder.
    pub fn beside(&self) -> &Path {
        self.folder.path()
    }

    pub fn files() -> [&'static str; 12] {
        KINDS.map(|(name, ..)| name)
    }

    /// Writes the rules of a scanner to a file beside the scanned files, and returns the path.
    pub fn rules(&self, format: ScannerFormat) -> std::path::PathBuf {
        let path = self.beside().join(format.file_name());
        fs::write(&path, format.rules(&PREFIXES.map(|prefix| Prefix::new(prefix).unwrap()))).unwrap();
        path
    }

    /// Returns the words of a text that are tokens or look-alikes of this tree.
    pub fn known_in(&self, text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words
            .filter(|word| self.tokens.contains(*word) || self.look_alikes.contains(*word))
            .map(str::to_owned)
            .collect()
    }
}

fn fresh(ring: &Keyring, project: &str) -> String {
    let (owner, name) = (OwnerId::new("ada").unwrap(), Name::new("CI").unwrap());
    let new = NewToken::new(ProjectId::new(project).unwrap(), owner, name);
    mint(ring, &Policy::default(), new, &actor(), now()).unwrap().token.expose_secret().to_owned()
}

/// Replaces one of the six characters of the token's checksum, and returns the result. `number`
/// selects the character.
fn look_alike(token: &str, number: usize) -> String {
    let at = token.len() - 1 - number % 6;
    let mut bytes = token.as_bytes().to_vec();
    let value = BASE62.iter().position(|digit| *digit == bytes[at]).unwrap();
    bytes[at] = BASE62[(value + 1) % 62];
    String::from_utf8(bytes).unwrap()
}

#[test]
fn half_of_the_tree_are_tokens() {
    let tree = Tree::new();
    let is_token = |text: &String| keyfob::text::TokenText::parse(text.as_str()).is_ok();
    assert_eq!(tree.tokens.iter().filter(|text| is_token(text)).count(), TOKENS);
    assert_eq!(tree.look_alikes.iter().filter(|text| !is_token(text)).count(), TOKENS);
    let texts = Tree::files().map(|name| fs::read_to_string(tree.path().join(name)).unwrap());
    for text in &texts {
        // Each file contains 83 or 84 tokens and the same number of look-alikes.
        let known = tree.known_in(text);
        assert_eq!(known.intersection(&tree.tokens).count(), known.len() / 2);
        assert!(known.len() >= 166);
    }
    assert_eq!(tree.known_in(&texts.concat()).len(), 2 * TOKENS);
}
