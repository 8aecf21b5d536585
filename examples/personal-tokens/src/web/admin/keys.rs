//! The page with the keys of the keyring, which says when a key can be retired.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use crate::app::App;
use crate::tokens::key_counts::Key;
use crate::web::admin::allow;
use crate::web::error::{PageError, render};
use crate::web::frame::{Frame, Here};
use crate::web::sessions::SignedIn;
use crate::web::standing::Tone;
use crate::web::time_words::Time;

#[derive(Template)]
#[template(path = "admin_keys.html")]
struct KeysPage<'a> {
    frame: Frame<'a>,
    keys: Vec<Row>,
    at: Time,
}

struct Row {
    key: Key,
    word: &'static str,
    tone: Tone,
    retires: String,
    check: &'static str,
}

pub async fn show(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let counts = app.key_counts.get(&app).await.map_err(PageError::failed)?;
    let keys = counts.keys.into_iter().map(row).collect();
    let at = Time::ago(counts.at, app.tokens.now());
    render(&KeysPage { frame: Frame::new(&app, &signed_in, Here::Keys, None).await?, keys, at })
}

fn row(key: Key) -> Row {
    let (word, tone) = match (key.is_held, key.mints) {
        (false, _) => ("Missing", Tone::Bad),
        (true, true) => ("Primary", Tone::Good),
        (true, false) => ("Secondary", Tone::Warn),
    };
    let retires = match (key.mints, key.live) {
        (true, _) => "New tokens use this key. Before it can be retired, new tokens must use another key.".into(),
        (false, 0) => "No live token uses this key, so it can be retired.".into(),
        (false, 1) => "1 live token still uses this key. It can be retired when that token has ended.".into(),
        (false, live) => {
            format!("{live} live tokens still use this key. It can be retired when they have ended.")
        }
    };
    let check = match (key.is_checked, key.is_held) {
        (true, true) => "Stored: a start with another pepper is refused.",
        (true, false) => "Stored, but this process does not hold the key.",
        (false, _) => "Not stored: a start cannot check the pepper of this key.",
    };
    Row { key, word, tone, retires, check }
}

#[cfg(test)]
mod tests {
    use keyfob::keys::KeyNumber;

    use super::*;

    fn key(mints: bool, is_held: bool, live: u64) -> Key {
        Key { number: KeyNumber::FIRST, mints, is_held, is_checked: true, live, ended: 0 }
    }

    #[test]
    fn words_say_when_a_key_can_be_retired() {
        for (key, word, start) in [
            (key(true, true, 0), "Primary", "New tokens use this key."),
            (key(false, true, 0), "Secondary", "No live token uses this key"),
            (key(false, true, 1), "Secondary", "1 live token still uses"),
            (key(false, true, 2), "Secondary", "2 live tokens still use"),
            (key(false, false, 2), "Missing", "2 live tokens still use"),
        ] {
            let row = row(key);
            assert!(row.retires.starts_with(start), "{}", row.retires);
            assert_eq!(row.word, word);
        }
    }
}
