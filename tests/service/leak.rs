//! Tests of leak reports: which tokens are found in a report, and which tokens are revoked.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::{
    Access, Error, ErrorKind, MemoryStore, Rejection, Status, Tokens,
    clock::FixedClock,
    error::{InvalidField, InvalidKind},
    import::{
        ImportAlphabet, ImportDigest, ImportHash, ImportOutcome, ImportShape, ImportToken, Imports, SaltedImport,
    },
    leak::{Finder, LeakOutcome, LeakReport, LeakedToken},
    record::{ImportScheme, RevocationReason},
};
use serde_json::json;
use sha2::{Digest, Sha256};

#[cfg(target_os = "linux")]
use crate::support::alone::is_alone;
use crate::support::{actor, keyring, new_token, now, prefix, project, with_checksum};

type Service = Tokens<MemoryStore>;

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

/// Reads a leak report that contains only this text. Returns one entry for each token in the text.
fn read(text: &str) -> Vec<LeakReport> {
    LeakReport::read_all(json!([{ "token": text }]).to_string().as_bytes(), &finder()).unwrap()
}

/// Returns a text with `count` look-alikes: texts with the prefix of tokens and a valid checksum.
/// Anyone can form look-alikes, because the checksum is public.
fn look_alikes(count: usize) -> String {
    let look_alike = |number| with_checksum(&format!("acme_pat_145_0{number:015}_{}", "A".repeat(50)));
    (0..count).map(look_alike).collect::<Vec<_>>().join(" ")
}

/// Pairs of texts that copying and pasting can add before and after a token.
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

/// Pairs of texts that can be before and after a token in a file.
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
            assert!(matches!(outcome, LeakOutcome::Revoked(_, _)), "{before:?} {behind:?}");
            let text = format!("{before}{presented}{behind}");
            tokens.revoke_presented(&actor(), [text], RevocationReason::Unspecified).await.unwrap();
            assert!(is_revoked(&tokens, &presented).await, "{before:?} {behind:?}");
        }
    }
    let (reported, presented) = (issue(&tokens).await, issue(&tokens).await);
    let as_user = |text: &str| basic(&format!("{text}:x-oauth-basic"));
    let leaked = LeakedToken::new(&as_user(&reported)).unwrap();
    tokens.report_leak(&actor(), &leaked).await.unwrap();
    tokens.revoke_presented(&actor(), [as_user(&presented)], RevocationReason::Unspecified).await.unwrap();
    assert!(is_revoked(&tokens, &reported).await && is_revoked(&tokens, &presented).await);
}

/// Returns a service that accepts two tokens of an earlier service, and the texts of these tokens.
/// The second token begins and ends with a character that is often pasted around tokens.
async fn service_with_imports() -> (Service, [&'static str; 2]) {
    let texts = ["old-0123456789abcdef", "<old-123456789abcde;"];
    let shape = |prefix, alphabet| ImportShape::new(prefix, 16..=16, alphabet, ImportHash::Sha256).unwrap();
    let shapes = [shape("old-", ImportAlphabet::LowerHex), shape("<old", ImportAlphabet::Visible)];
    let tokens = service().with_imports(shapes);
    let import = |text: &str| {
        let digest = ImportDigest::from_bytes(ImportHash::Sha256, &Sha256::digest(text))?;
        Ok(ImportToken::new(digest, project("145"), "ada".parse()?, "old CI".parse()?, now()))
    };
    let outcomes = tokens.import(&actor(), texts.map(import).to_vec()).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, ImportOutcome::Inserted(_))), "{outcomes:?}");
    (tokens, texts)
}

/// Returns the value of `Authorization` for a pair of a user name and a password.
fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

/// Returns the forms of an imported token that a guard accepts.
fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned(), format!("Bearer {text}"), format!(" {text}\r\n")];
    forms.extend([format!("ada:{text}"), format!("{text}:x")].map(|pair| basic(&pair)));
    if text.starts_with("old-") {
        forms.push(format!("'{text}'"));
    }
    forms
}

#[tokio::test]
async fn an_imported_token_is_revoked_in_each_form_that_a_guard_accepts() {
    for which in 0..2 {
        for number in 0..forms(service_with_imports().await.1[which]).len() {
            for way in 0..3 {
                let (tokens, texts) = service_with_imports().await;
                let shown = &forms(texts[which])[number];
                let reported = match way {
                    0 => vec![LeakedToken::new(shown).unwrap()],
                    1 => read(shown).into_iter().map(|report| report.token).collect(),
                    _ => Vec::new(),
                };
                for leaked in reported {
                    tokens.report_leak(&actor(), &leaked).await.unwrap();
                }
                if way == 2 {
                    tokens.revoke_presented(&actor(), [shown], RevocationReason::Unspecified).await.unwrap();
                }
                assert!(is_revoked(&tokens, texts[which]).await, "{shown:?}, reported in way {way}");
            }
        }
    }
}

/// Reports a text as leaked, or presents it to be revoked.
async fn end(tokens: &Service, shown: &str, is_reported: bool) -> Result<(), Error> {
    if is_reported {
        tokens.report_leak(&actor(), &LeakedToken::new(shown).unwrap()).await.map(drop)
    } else {
        tokens.revoke_presented(&actor(), [shown], RevocationReason::Unspecified).await
    }
}

/// A guard refuses a pair of two tokens. Each of them is leaked all the same.
#[tokio::test]
async fn a_leaked_pair_is_revoked_even_if_both_parts_have_the_shape_of_a_token() {
    for (is_first, is_reported) in [(true, true), (true, false), (false, true), (false, false)] {
        let (tokens, [old, _]) = service_with_imports().await;
        let pair =
            |one: &str, other: &str| basic(&if is_first { format!("{one}:{other}") } else { format!("{other}:{one}") });
        // The service has imported no token with this text.
        let unknown = "old-fedcba9876543210";
        let [alone, revoked, first, second] = [(); 4].map(|()| issue(&tokens));
        let [alone, revoked, first, second] = [alone.await, revoked.await, first.await, second.await];
        end(&tokens, &revoked, false).await.unwrap();
        for (shown, texts) in [
            (pair(&alone, unknown), vec![alone]),
            (pair(old, unknown), vec![old.to_owned()]),
            (pair(&first, &revoked), vec![first]),
            (pair(&second, old), vec![second, old.to_owned()]),
        ] {
            end(&tokens, &shown, is_reported).await.unwrap();
            for text in texts {
                assert!(is_revoked(&tokens, &text).await, "{text:?}, first: {is_first}, reported: {is_reported}");
            }
        }
    }
}

/// The service cannot compute the hash of one part. It revokes the other part all the same.
#[tokio::test]
async fn a_failure_for_one_part_of_a_leaked_pair_does_not_save_the_other() {
    let shape = ImportShape::salted("old_", 1..=500, ImportAlphabet::Visible, |text| text.rsplit_once('_')).unwrap();
    for is_reported in [true, false] {
        let imports = Imports::new([shape.clone()]).with_function("lost", |_, _| None);
        let tokens = service().with_imports(imports);
        let import = || {
            let mut old = ImportToken::new([7; 32].into(), project("145"), "ada".parse()?, "old CI".parse()?, now());
            old.salted = Some(SaltedImport::new("old_17", ImportScheme::new("lost", "", b"")?)?);
            Ok(old)
        };
        let outcomes = tokens.import(&actor(), vec![import()]).await.unwrap();
        assert!(matches!(outcomes[..], [ImportOutcome::Inserted(_)]), "{outcomes:?}");
        let text = issue(&tokens).await;
        let failed = end(&tokens, &basic(&format!("old_17_secret:{text}")), is_reported).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Store);
        assert!(is_revoked(&tokens, &text).await);
    }
}

/// A token of 512 characters is longer than that in base64.
#[tokio::test]
async fn a_reported_pair_with_a_long_imported_token_is_revoked() {
    let text = format!("old-{}", "a".repeat(508));
    let shape = ImportShape::new("old-", 508..=508, ImportAlphabet::LowerHex, ImportHash::Sha256).unwrap();
    for pair in [format!("ada:{text}"), format!("{text}:x")] {
        let tokens = service().with_imports([shape.clone()]);
        let digest = ImportDigest::from_bytes(ImportHash::Sha256, &Sha256::digest(&text)).unwrap();
        let [ada, name] = ["ada", "old CI"];
        let old = ImportToken::new(digest, project("145"), ada.parse().unwrap(), name.parse().unwrap(), now());
        tokens.import(&actor(), vec![Ok(old)]).await.unwrap();
        for report in read(&basic(&pair)) {
            tokens.report_leak(&actor(), &report.token).await.unwrap();
        }
        assert!(is_revoked(&tokens, &text).await);
    }
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
    let [report] = &read(&basic(&format!("{text}:")))[..] else { panic!() };
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
    let read: Vec<_> = reports.iter().map(|report| (report.entry, &*report.url, &*report.kind)).collect();
    assert_eq!(read, [(0, "u0", ""), (1, "u1", "t"), (1, "u1", "t"), (2, "u2", "")]);
    for report in &reports {
        tokens.report_leak(&actor(), &report.token).await.unwrap();
    }
    for text in [&a, &b, &c] {
        assert!(is_revoked(&tokens, text).await);
    }
}

/// The finder does not know the form of tokens from an earlier service. So if a reported text
/// contains no token of keyfob, keyfob treats the whole text as a possible token.
#[test]
fn a_text_without_a_token_is_tried_as_an_old_token() {
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

const TOO_MANY: InvalidKind = InvalidKind::TooMany { max: LeakReport::MAX_COUNT };

#[test]
fn a_report_of_too_many_tokens_is_refused() {
    let refused = |body: String| LeakReport::read_all(body.as_bytes(), &finder()).unwrap_err();
    let entries = |count: usize| format!("[{}]", vec![r#"{"token":"a"}"#; count].join(","));
    assert_eq!(LeakReport::read_all(entries(LeakReport::MAX_COUNT).as_bytes(), &finder()).unwrap().len(), 10_000);
    let error = refused(entries(LeakReport::MAX_COUNT + 1));
    assert_eq!((error.field(), error.kind()), (InvalidField::LeakReport, TOO_MANY));
    assert_eq!(error.to_string(), "leak report: more than 10000");
    assert_eq!(refused(entries(299_000)).kind(), TOO_MANY);
    // In this report, all look-alikes are in one text.
    let text = |count: usize| json!([{ "token": look_alikes(count) }]).to_string();
    assert_eq!(LeakReport::read_all(text(LeakReport::MAX_COUNT).as_bytes(), &finder()).unwrap().len(), 10_000);
    assert_eq!(refused(text(LeakReport::MAX_COUNT + 1)).kind(), TOO_MANY);

    assert_eq!(
        refused(" ".repeat(LeakReport::MAX_BYTES + 1)).kind(),
        InvalidKind::TooLong { max: LeakReport::MAX_BYTES }
    );
    for malformed in ["", "{}", "[1]", "[{}]", "[[\"acme\"]]", "[", &entries(LeakReport::MAX_COUNT + 2)[1..]] {
        assert_eq!(refused(malformed.to_owned()).kind(), InvalidKind::Shape);
    }
}

/// Returns the peak memory of this process in bytes. A test that calls this function must run
/// alone, because other tests would raise the peak.
#[cfg(target_os = "linux")]
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// A report takes memory in proportion to its size. The report has the URL of a text only once,
/// even if the text contains many tokens.
#[test]
#[cfg(target_os = "linux")]
fn many_tokens_of_one_text_share_its_address() {
    if !is_alone("leak::many_tokens_of_one_text_share_its_address") {
        return;
    }
    let url = "u".repeat(1 << 20);
    let body = json!([{ "token": look_alikes(1000), "url": url }]).to_string();
    let before = most_memory();
    let reports = LeakReport::read_all(body.as_bytes(), &finder()).unwrap();
    assert_eq!(reports.len(), 1000);
    assert!(reports.iter().all(|report| *report.url == *url));
    let more = most_memory() - before;
    assert!(more < 64 << 20, "{} MB for a body of {} KiB", more >> 20, body.len() >> 10);
}

/// The finder searches two reports of the maximum size. One contains a single long run of base64
/// characters, and the other as many short runs as possible.
#[test]
#[cfg(target_os = "linux")]
fn text_of_base64_alone_is_searched_in_proportion_to_its_size() {
    if !is_alone("leak::text_of_base64_alone_is_searched_in_proportion_to_its_size") {
        return;
    }
    for run in ["A".to_owned(), format!("{} ", "A".repeat(96))] {
        let body = json!([{ "token": run.repeat((4_000 << 10) / run.len()) }]).to_string();
        let (before, began) = (most_memory(), std::time::Instant::now());
        assert_eq!(LeakReport::read_all(body.as_bytes(), &finder()).unwrap().len(), 0);
        let (more, took) = (most_memory() - before, began.elapsed());
        println!("{} KiB in runs of {}: {} MB more, {took:?}", body.len() >> 10, run.len(), more >> 20);
        assert!(
            more < 64 << 20 && took < std::time::Duration::from_secs(20),
            "the search took {} MB and {took:?}",
            more >> 20
        );
    }
}

#[test]
fn caller_bounds_the_entries_and_tokens() {
    let read = |most, body: serde_json::Value| {
        let reports = LeakReport::read_up_to(most, body.to_string().as_bytes(), &finder());
        reports.map(|reports| reports.len()).map_err(|error| error.kind())
    };
    for count in [1, 2, 3] {
        let expected = if count < 3 { Ok(count) } else { Err(InvalidKind::TooMany { max: 2 }) };
        assert_eq!(read(2, json!([{ "token": look_alikes(count) }])), expected);
        assert_eq!(read(2, json!(vec![json!({ "token": "a" }); count])), expected);
    }
    // The caller can lower the crate's own limit, but not raise it.
    let most = LeakReport::MAX_COUNT;
    assert_eq!(read(usize::MAX, json!([{ "token": look_alikes(most + 1) }])), Err(TOO_MANY));
    assert_eq!(read(0, json!([])), Ok(0));
}

#[test]
fn token_that_repeats_in_one_text_counts_once() {
    let one = look_alikes(1);
    // The other token has the same id as the first, but another secret.
    let other = with_checksum(&one.replace("AAAA", "BBBB"));
    let body = json!([{ "token": format!("{one} {other} {one} {one}") }, { "token": one }]);
    let reports = LeakReport::read_all(body.to_string().as_bytes(), &finder()).unwrap();
    assert_eq!(reports.iter().map(|report| report.entry).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(reports[0].token.public_part(), reports[1].token.public_part());
}

/// The texts contain the credential as it appears in a log, a HAR file, the output of `curl -v`, a
/// command, a configuration or a URL.
#[tokio::test]
async fn a_basic_credential_is_found_in_the_line_that_it_leaked_in() {
    let tokens = service();
    for (before, behind) in [
        ("Authorization: Basic ", ""),
        ("> authorization: Basic ", "\r\n"),
        ("{\"Authorization\": \"Basic ", "\"}"),
        ("curl -H 'Authorization: Basic ", "' https://acme.example"),
        ("{\"auths\": {\"acme.example\": {\"auth\": \"", "\"}}}"),
        // The text before the credential consists of base64 characters, like the credential.
        ("auth=Basic%20", "%3D"),
        ("auth/a", "/"),
        ("auth/ab", ""),
    ] {
        for (user, password) in [("", ":x"), ("", ":"), ("ada:", ""), ("x-access-token:", "")] {
            let token = issue(&tokens).await;
            let encoded = STANDARD.encode(format!("{user}{token}{password}"));
            for encoded in [&*encoded, encoded.trim_end_matches('=')] {
                let text = format!("{before}{encoded}{behind}");
                let [report] = &read(&text)[..] else { panic!("{before:?} {user:?}") };
                tokens.report_leak(&actor(), &report.token).await.unwrap();
                assert!(is_revoked(&tokens, &token).await, "{before:?} {user:?}");
            }
        }
    }
    // The text contains one token in clear text and one token in base64.
    let [clear, encoded] = [issue(&tokens).await, issue(&tokens).await];
    let text = format!("{clear}\nAuthorization: Basic {}", STANDARD.encode(format!("{encoded}:")));
    for report in read(&text) {
        tokens.report_leak(&actor(), &report.token).await.unwrap();
    }
    assert!(is_revoked(&tokens, &clear).await && is_revoked(&tokens, &encoded).await);
}
