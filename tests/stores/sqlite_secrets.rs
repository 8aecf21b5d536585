//! Checks that the files of a SQLite database never contain a part of a token's secret.

use std::collections::HashSet;
use std::path::Path;

use keyfob::{
    Access, Actor, Keyring, Name, NewToken, OwnerId, Pepper, Prefix, ProjectId, Tokens, keys::KeyNumber,
    record::RevocationReason, store::sqlite::SqliteStore,
};

const WINDOW: usize = 8;

/// Returns each run of [`WINDOW`] bytes of the text.
fn windows(text: &str) -> impl Iterator<Item = [u8; WINDOW]> {
    text.as_bytes().windows(WINDOW).map(|window| window.try_into().unwrap())
}

/// Reads the files of the database as raw bytes, and returns the wanted runs of bytes that the
/// files contain.
fn found_in_files(folder: &Path, wanted: &HashSet<[u8; WINDOW]>) -> HashSet<[u8; WINDOW]> {
    let mut found = HashSet::new();
    for name in ["tokens.db", "tokens.db-wal", "tokens.db-shm"] {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        assert!(!bytes.is_empty(), "{name}");
        found.extend(bytes.windows(WINDOW).filter_map(|window| wanted.get(window)));
    }
    found
}

#[tokio::test]
async fn no_eight_characters_of_a_secret_are_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    let keyring = Keyring::builder(Prefix::new("acme_pat").unwrap());
    let keyring = keyring.mint_with(KeyNumber::FIRST, Pepper::generate().unwrap()).build().unwrap();
    let tokens = Tokens::new(keyring, store);
    let (project, ada, actor) =
        (ProjectId::new("145").unwrap(), OwnerId::new("ada").unwrap(), Actor::new("ada").unwrap());

    let (mut secret, mut public) = (HashSet::new(), HashSet::new());
    for number in 0..200 {
        let new = NewToken::new(project, ada.clone(), Name::new(&format!("token {number}")).unwrap());
        let issued = tokens.issue(&actor, new).await.unwrap();
        tokens.verify(issued.token.expose_secret(), &Access::to(&project, &[])).await.unwrap();
        let (_, tail) = issued.token.expose_secret().rsplit_once('_').unwrap();
        assert_eq!(tail.len(), 50);
        secret.extend(windows(tail));
        public.extend(windows(issued.record.id.as_str()));
        if number % 3 == 0 {
            tokens.revoke(&actor, &issued.record.key(), RevocationReason::KeyCompromise).await.unwrap();
            tokens.verify(issued.token.expose_secret(), &Access::to(&project, &[])).await.unwrap_err();
        }
    }
    assert_eq!(secret.len(), 200 * 43, "43 runs of each tail");

    assert_eq!(found_in_files(folder.path(), &secret), HashSet::new());
    // The searches below must find the public token ids, and a secret that a careless host stores
    // in the metadata. Otherwise the search above would prove little.
    assert_eq!(found_in_files(folder.path(), &public), public);
    let new = NewToken::new(project, ada, Name::new("planted").unwrap());
    let careless = tokens.issue(&actor, new).await.unwrap();
    let (_, tail) = careless.token.expose_secret().rsplit_once('_').unwrap();
    let planted: HashSet<_> = windows(tail).collect();
    let leak = sqlx::query("UPDATE keyfob_tokens SET metadata = $1 WHERE id = $2");
    leak.bind(tail).bind(careless.record.id.as_str()).execute(tokens.store().pool()).await.unwrap();
    assert_eq!(found_in_files(folder.path(), &planted), planted);
}
