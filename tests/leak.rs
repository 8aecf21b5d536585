//! Leaked tokens and texts that hold them: what is found in a report of anybody, and what is revoked.

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::{
    Access, Finder, FixedClock, LeakOutcome, LeakReport, LeakedToken, MemoryStore, Rejection, ReportError,
    RevocationReason, Status, Tokens,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use support::{actor, keyring, new_token, now, prefix, project, with_checksum};

type Service = Tokens<MemoryStore, FixedClock>;

fn service() -> Service {
    Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()))
}

async fn issue(tokens: &Service) -> String {
    tokens.issue(&actor(), new_token()).await.unwrap().token.expose_secret().to_owned()
}

async fn is_revoked(tokens: &Service, text: &str) -> bool {
    let verified = tokens.verify(text, &Access::to(&project("145"), &[])).await;
    verified.is_err_and(|error| error.rejection() == Some(Rejection::Revoked))
}

fn finder() -> Finder {
    Finder::new([prefix()])
}

/// The tokens that are read from one reported text.
fn read(text: &str) -> Vec<LeakReport> {
    LeakReport::read_all(json!([{ "token": text }]).to_string().as_bytes(), &finder()).unwrap()
}

/// What a paste leaves, before and behind.
const PASTED: [(&str, &str); 17] = [
    (" ", "  "),
    ("\t", "\t"),
    ("\r\n", "\r\n"),
    ("\n", "\n"),
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("\u{201c}", "\u{201d}"),
    ("\u{2018}", "\u{2019}"),
    ("<", ">"),
    ("", ","),
    ("Bearer ", ""),
    ("\"bearer\t'", "'\";"),
    ("\u{200b}", "\u{200b}"),
    ("\u{2060}", "\u{2060}"),
    ("\u{feff}", "\u{feff}"),
    ("\u{a0}", "\u{a0}\r\n"),
];

/// What may stand beside a token in a text.
const WITHIN: [(&str, &str); 10] = [
    ("token=", "&a=b"),
    ("Authorization: Bearer ", "\r\nHost: example.com"),
    ("\u{200c}\u{200d}", "\u{200d}\u{200c}"),
    ("\u{ab}", "\u{bb}"),
    ("https://ada:", "@example.com"),
    ("{\"token\":\"", "\"}"),
    ("x_", "-"),
    ("```\n", "\n```"),
    ("(", ")."),
    ("Basic ", " is not base64"),
];

#[tokio::test]
async fn what_a_paste_leaves_around_a_token_does_not_save_it() {
    let tokens = service();
    for (before, behind) in PASTED {
        for (before, behind) in [(before, ""), ("", behind), (before, behind)] {
            let (reported, presented) = (issue(&tokens).await, issue(&tokens).await);
            let leaked = LeakedToken::new(&format!("{before}{reported}{behind}")).unwrap();
            let outcome = tokens.report_leak(&actor(), &leaked).await.unwrap();
            assert!(matches!(outcome, LeakOutcome::Revoked(_)), "{before:?} {behind:?}");
            let text = format!("{before}{presented}{behind}");
            tokens.revoke_presented(&actor(), [text], RevocationReason::Unspecified).await.unwrap();
            assert!(is_revoked(&tokens, &presented).await, "{before:?} {behind:?}");
        }
    }
    let (reported, presented) = (issue(&tokens).await, issue(&tokens).await);
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(format!("{text}:x-oauth-basic")));
    let leaked = LeakedToken::new(&basic(&reported)).unwrap();
    tokens.report_leak(&actor(), &leaked).await.unwrap();
    tokens.revoke_presented(&actor(), [basic(&presented)], RevocationReason::Unspecified).await.unwrap();
    assert!(is_revoked(&tokens, &reported).await && is_revoked(&tokens, &presented).await);
}

#[tokio::test]
async fn a_token_is_found_in_whatever_text_is_reported() {
    let tokens = service();
    for (before, behind) in PASTED.into_iter().chain(WITHIN) {
        for (before, behind) in [(before, ""), ("", behind), (before, behind)] {
            let text = issue(&tokens).await;
            let reported = format!("{before}{text}{behind}");
            let [report] = &read(&reported)[..] else { panic!("{before:?} {behind:?}") };
            assert_eq!(report.token.public_part(), text.rsplit_once('_').map(|(public, _)| public));
            assert_eq!((report.entry, report.text_hash), (0, Sha256::digest(&reported).into()));
            tokens.report_leak(&actor(), &report.token).await.unwrap();
            assert!(is_revoked(&tokens, &text).await, "{before:?} {behind:?}");
        }
    }
    let text = issue(&tokens).await;
    let [report] = &read(&format!("Basic {}", STANDARD.encode(format!("{text}:"))))[..] else { panic!() };
    tokens.report_leak(&actor(), &report.token).await.unwrap();
    assert!(is_revoked(&tokens, &text).await);
}

#[tokio::test]
async fn all_tokens_of_a_text_are_found_and_each_names_its_entry() {
    let tokens = service();
    let [a, b, c] = [issue(&tokens).await, issue(&tokens).await, issue(&tokens).await];
    let body = json!([
        { "token": "nothing", "url": "u0" },
        { "token": format!("{}{a} {b}\n{}", "x".repeat(5000), "y".repeat(5000)), "url": "u1", "type": "t" },
        { "token": c, "url": "u2" },
    ]);
    let reports = LeakReport::read_all(body.to_string().as_bytes(), &finder()).unwrap();
    let read: Vec<_> = reports.iter().map(|report| (report.entry, report.url.as_str(), report.kind.as_str())).collect();
    assert_eq!(read, [(0, "u0", ""), (1, "u1", "t"), (1, "u1", "t"), (2, "u2", "")]);
    for report in &reports {
        tokens.report_leak(&actor(), &report.token).await.unwrap();
    }
    for text in [&a, &b, &c] {
        assert!(is_revoked(&tokens, text).await);
    }
}

/// A token of an earlier system has no shape that the finder knows: the text is tried as it is.
#[test]
fn a_text_without_a_token_is_taken_for_one_from_before() {
    let [report] = &read(" 'acme-0123456789abcdef' \r\n")[..] else { panic!() };
    assert_eq!(report.token.public_part(), None);
    assert_eq!(read(&"a".repeat(512)).len(), 1);
    assert_eq!(read(&format!(" {} ", "a".repeat(512))).len(), 1);
    assert_eq!(read(&"a".repeat(513)).len(), 0, "longer than any token");
}

#[tokio::test]
async fn a_mistyped_token_ends_nothing() {
    let tokens = service();
    let text = issue(&tokens).await;
    let other = with_checksum(&text.replace("_145_", "_146_"));
    for reported in [format!("{text}x").replace(&text[..9], "acme_cat_"), other] {
        for report in read(&reported) {
            assert_eq!(tokens.report_leak(&actor(), &report.token).await.unwrap(), LeakOutcome::NotOurs);
        }
    }
    assert!(!is_revoked(&tokens, &text).await);
    let key = LeakedToken::new(&text).unwrap().key().unwrap();
    assert_eq!(tokens.get(&key).await.unwrap().unwrap().status, Status::Active);
}

#[test]
fn a_report_of_too_many_tokens_is_refused() {
    let refused = |body: String| LeakReport::read_all(body.as_bytes(), &finder()).unwrap_err();
    let entries = |count: usize| format!("[{}]", vec![r#"{"token":"a"}"#; count].join(","));
    assert_eq!(LeakReport::read_all(entries(LeakReport::MAX_COUNT).as_bytes(), &finder()).unwrap().len(), 10_000);
    let error = refused(entries(LeakReport::MAX_COUNT + 1));
    assert_eq!((error, error.status()), (ReportError::TooMany, 413));
    assert_eq!(error.to_string(), "the report names too many tokens");
    assert_eq!(refused(entries(299_000)), ReportError::TooMany);
    // All in one text.
    let token = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o ";
    let text = |count: usize| json!([{ "token": token.repeat(count) }]).to_string();
    assert_eq!(LeakReport::read_all(text(LeakReport::MAX_COUNT).as_bytes(), &finder()).unwrap().len(), 10_000);
    assert_eq!(refused(text(LeakReport::MAX_COUNT + 1)), ReportError::TooMany);

    assert_eq!(refused(" ".repeat(LeakReport::MAX_BYTES + 1)), ReportError::TooLarge);
    for malformed in ["", "{}", "[1]", "[{}]", "[", &entries(LeakReport::MAX_COUNT + 2)[1..]] {
        assert_eq!(refused(malformed.to_owned()), ReportError::Malformed);
    }
}
