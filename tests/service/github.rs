//! Tests of the webhook that GitHub calls when it finds leaked tokens: which deliveries the webhook
//! accepts, what its responses contain, and which tokens it revokes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::{
    Access, ErrorKind, MemoryStore, Rejection, TokenKey, TokenRecord, TokenStore, Tokens,
    clock::FixedClock,
    events::{Event, EventSink},
    leak::{
        Finder, LeakOutcome, LeakReport,
        github::{DeliveryRefusal, GitHubDelivery, GitHubKeys, GitHubWebhook, ProcessedReport},
    },
    record::{Revocation, RevocationReason},
    store::{StoreError, StoreErrorKind},
};
use keyfob::{Policy, leak::LeakedToken, record::mint_with};
use p256::PublicKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{EncodePublicKey, LineEnding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Script, actor, keyring, new_token, now, project, with_checksum};

/// The name of a signing key, and the value of each byte of this key.
pub(super) const CURRENT: (&str, u8) = ("current", 7);
const OLD: (&str, u8) = ("old", 8);
const STRANGERS: (&str, u8) = ("current", 9);

const SECOND: Duration = Duration::from_secs(1);

fn signing(key: (&str, u8)) -> SigningKey {
    SigningKey::from_slice(&[key.1; 32]).unwrap()
}

pub(super) fn sign(key: (&str, u8), body: &[u8]) -> String {
    let signature: DerSignature = signing(key).sign(body);
    STANDARD.encode(signature.as_bytes())
}

fn published() -> Vec<u8> {
    let key = |key: (&str, u8), is_current: bool| {
        let pem = PublicKey::from(VerifyingKey::from(&signing(key))).to_public_key_pem(LineEnding::LF).unwrap();
        json!({ "key_identifier": key.0, "key": pem, "is_current": is_current })
    };
    json!({ "public_keys": [key(OLD, false), key(CURRENT, true)] }).to_string().into_bytes()
}

pub(super) fn webhook() -> GitHubWebhook {
    GitHubWebhook::new(GitHubKeys::from_json(&published()).unwrap())
}

pub(super) type Service<S = MemoryStore> = Tokens<S>;

pub(super) fn service() -> Service {
    Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()))
}

pub(super) async fn issue(tokens: &Service<impl TokenStore>) -> String {
    tokens.issue(&actor(), new_token()).await.unwrap().token.expose_secret().to_owned()
}

pub(super) async fn is_revoked(tokens: &Service, text: &str) -> bool {
    let verified = tokens.verify(text, &Access::to(&project("145"), &[])).await;
    match verified.map_err(|error| error.rejection()) {
        Ok(_) => false,
        Err(rejection) => {
            assert_eq!(rejection, Some(Rejection::Revoked));
            true
        }
    }
}

fn report<T: AsRef<str>>(tokens: &[T]) -> Vec<u8> {
    let one = |token: &T| json!({ "token": token.as_ref(), "type": "acme_pat", "url": "https://github.com/ada/repo/blob/1/a.txt", "source": "content" });
    tokens.iter().map(one).collect::<Value>().to_string().into_bytes()
}

async fn deliver(
    tokens: &Service<impl TokenStore>,
    webhook: &GitHubWebhook,
    key: (&str, u8),
    body: &[u8],
) -> Result<(ProcessedReport, String), DeliveryRefusal> {
    let signature = sign(key, body);
    answer(tokens, webhook, GitHubDelivery { key_id: key.0, signature: &signature, body }).await
}

async fn answer(
    tokens: &Service<impl TokenStore>,
    webhook: &GitHubWebhook,
    delivery: GitHubDelivery<'_>,
) -> Result<(ProcessedReport, String), DeliveryRefusal> {
    let handled = webhook.handle(tokens, &actor(), delivery, no_keys).await?;
    let body = webhook.answer(&handled).unwrap();
    Ok((handled, body))
}

/// Returns no keys, as if GitHub had published no newer keys.
pub(super) async fn no_keys() -> Option<GitHubKeys> {
    None
}

fn malformed() -> DeliveryRefusal {
    DeliveryRefusal::Invalid(LeakReport::read_all(b"{", &Finder::new([crate::support::prefix()])).unwrap_err())
}

fn too_large() -> DeliveryRefusal {
    let body = vec![b' '; LeakReport::MAX_BYTES + 1];
    DeliveryRefusal::Invalid(LeakReport::read_all(&body, &Finder::new([crate::support::prefix()])).unwrap_err())
}

#[track_caller]
fn refused(outcome: Result<(ProcessedReport, String), DeliveryRefusal>, expected: DeliveryRefusal, status: u16) {
    match outcome {
        Err(error) => assert_eq!((error, error.status()), (expected, status)),
        other => panic!("{other:?}"),
    }
}

pub(super) fn hash(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_github_reports_is_revoked_and_labelled() {
    let (tokens, webhook) = (service(), webhook());
    let text = issue(&tokens).await;
    let unknown = with_checksum(&text.replace("_145_", "_146_"));
    let (handled, body) = deliver(&tokens, &webhook, CURRENT, &report(&[&text, &unknown])).await.unwrap();
    assert!(is_revoked(&tokens, &text).await);
    let [(first, Ok(LeakOutcome::Revoked(token, _))), (_, Ok(LeakOutcome::NotOurs))] = &handled.leaks[..] else {
        panic!("{handled:?}")
    };
    assert_eq!(token.revoked.as_ref().unwrap().reason, RevocationReason::KeyCompromise);
    assert_eq!(token.owner.as_str(), "ada");
    assert_eq!((&*first.kind, &*first.source), ("acme_pat", "content"));
    let expected = json!([
        { "token_hash": hash(&text), "token_type": "acme_pat", "label": "true_positive" },
        { "token_hash": hash(&unknown), "token_type": "acme_pat", "label": "false_positive" },
    ]);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
}

/// Pairs of texts that can be before and after a token in a file.
const AROUND: [(&str, &str); 24] = [
    (" ", " "),
    ("\t", "\t"),
    ("\r\n", "\r\n"),
    ("\n\n", "\n"),
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("```\n", "\n```"),
    ("\u{201c}", "\u{201d}"),
    ("\u{2018}", "\u{2019}"),
    ("\u{ab}", "\u{bb}"),
    ("<", ">"),
    ("(", ")"),
    ("Bearer ", ""),
    ("bearer  '", "'"),
    ("Authorization: Bearer ", "\r\n"),
    ("token=", "&x=1"),
    ("TOKEN=\"", "\";"),
    ("https://ada:", "@example.com/repo.git"),
    ("\u{200b}", "\u{200b}"),
    ("\u{200d}", "\u{200c}"),
    ("\u{2060}", "\u{2060}"),
    ("\u{feff}", "\u{feff}"),
    ("\u{a0}", "\u{a0}"),
];

#[tokio::test]
async fn a_reported_token_ends_whatever_stands_around_it() {
    let (tokens, webhook) = (service(), webhook());
    for (before, behind) in AROUND {
        for (before, behind) in [(before, ""), ("", behind), (before, behind)] {
            let text = issue(&tokens).await;
            let reported = format!("{before}{text}{behind}");
            let (_, body) = deliver(&tokens, &webhook, CURRENT, &report(&[&reported])).await.unwrap();
            assert!(is_revoked(&tokens, &text).await, "{before:?} {behind:?}");
            let expected =
                json!([{ "token_hash": hash(&reported), "token_type": "acme_pat", "label": "true_positive" }]);
            assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn all_tokens_of_one_reported_text_end() {
    let (tokens, webhook) = (service(), webhook());
    let all = [issue(&tokens).await, issue(&tokens).await, issue(&tokens).await];
    let text = format!("A={} B='{}'\n{}{}", all[0], all[1], "x".repeat(100_000), all[2]);
    let (handled, body) = deliver(&tokens, &webhook, CURRENT, &report(&[text])).await.unwrap();
    for text in &all {
        assert!(is_revoked(&tokens, text).await);
    }
    assert_eq!(handled.leaks.len(), 3);
    // The response has one label for each reported text, even if several tokens were found in a
    // text.
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_is_not_github_is_refused_and_revokes_nothing() {
    let (tokens, webhook) = (service(), webhook());
    let text = issue(&tokens).await;
    let body = report(&[&text]);
    let signature = sign(CURRENT, &body);
    let send = async |key_id: &str, signature: &str, body: &[u8]| {
        answer(&tokens, &webhook, GitHubDelivery { key_id, signature, body }).await
    };

    let mut tampered = body.clone();
    let at = tampered.len() - 3;
    tampered[at] ^= 1;
    refused(send("current", &signature, &tampered).await, DeliveryRefusal::Signature, 403);
    refused(send("current", &signature, b"").await, DeliveryRefusal::Signature, 403);
    for (at, byte) in STANDARD.decode(&signature).unwrap().into_iter().enumerate() {
        let mut other = STANDARD.decode(&signature).unwrap();
        other[at] = byte ^ 1;
        refused(send("current", &STANDARD.encode(other), &body).await, DeliveryRefusal::Signature, 403);
    }
    for signature in ["", "no base64!", "AAAA"] {
        refused(send("current", signature, &body).await, DeliveryRefusal::Signature, 403);
    }
    refused(deliver(&tokens, &webhook, STRANGERS, &body).await, DeliveryRefusal::Signature, 403);
    refused(deliver(&tokens, &webhook, OLD, &body).await, DeliveryRefusal::OldKey, 403);
    refused(send("another", &signature, &body).await, DeliveryRefusal::UnknownKey, 403);
    refused(deliver(&tokens, &GitHubWebhook::default(), CURRENT, &body).await, DeliveryRefusal::UnknownKey, 403);
    assert!(!is_revoked(&tokens, &text).await);
    assert!(send("current", &signature, &body).await.is_ok());
}

#[tokio::test]
async fn new_keys_take_over() {
    let (tokens, webhook) = (service(), webhook());
    let keys = String::from_utf8(published())
        .unwrap()
        .replace("true", "TRUE")
        .replace("false", "true")
        .replace("TRUE", "false");
    webhook.set_keys(GitHubKeys::from_json(keys.as_bytes()).unwrap());
    refused(deliver(&tokens, &webhook, CURRENT, &report(&["a"])).await, DeliveryRefusal::OldKey, 403);
    assert!(deliver(&tokens, &webhook, OLD, &report(&["a"])).await.is_ok());
}

#[tokio::test]
async fn a_replay_is_refused_also_under_another_signature() {
    let (tokens, webhook) = (service(), webhook());
    let body = report(&[issue(&tokens).await]);
    assert!(deliver(&tokens, &webhook, CURRENT, &body).await.is_ok());
    refused(deliver(&tokens, &webhook, CURRENT, &body).await, DeliveryRefusal::Replayed, 409);
    // For each valid ECDSA signature (r, s), the signature (r, -s) is valid too.
    let signature = p256::ecdsa::Signature::from_der(&STANDARD.decode(sign(CURRENT, &body)).unwrap()).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r, -*s).unwrap();
    let other = STANDARD.encode(other.to_der().as_bytes());
    let replay = GitHubDelivery { key_id: "current", signature: &other, body: &body };
    refused(answer(&tokens, &webhook, replay).await, DeliveryRefusal::Replayed, 409);
    // A delivery that is signed with an unknown key is refused because of its signature, even if it
    // repeats a handled delivery. So the refusal does not reveal which deliveries were handled.
    refused(deliver(&tokens, &webhook, STRANGERS, &body).await, DeliveryRefusal::Signature, 403);
}

#[tokio::test]
async fn remembered_replay_is_refused() {
    let (tokens, webhook) = (service(), webhook());
    let body = report(&[issue(&tokens).await]);
    let signature = sign(CURRENT, &body);
    let delivery = GitHubDelivery { key_id: "current", signature: &signature, body: &body };
    let digest: [u8; 32] = Sha256::digest(&body).into();
    assert_eq!(delivery.digest(), digest);
    webhook.remember(digest);
    refused(answer(&tokens, &webhook, delivery).await, DeliveryRefusal::Replayed, 409);
    // A delivery that is signed with an unknown key is refused because of its signature, even if it
    // repeats a handled delivery. So the refusal does not reveal which deliveries were handled.
    refused(deliver(&tokens, &webhook, STRANGERS, &body).await, DeliveryRefusal::Signature, 403);
    assert!(deliver(&tokens, &webhook, CURRENT, &report(&["another"])).await.is_ok());
}

#[test]
fn current_ids_names_the_keys_that_github_signs_with() {
    let keys = GitHubKeys::from_json(&published()).unwrap();
    assert_eq!(keys.current_ids().collect::<Vec<_>>(), ["current"]);
}

#[tokio::test]
async fn a_report_that_was_not_answered_is_handled_again() {
    let (tokens, webhook) = (service(), webhook());
    let body = report(&[issue(&tokens).await]);
    let signature = sign(CURRENT, &body);
    let delivery = GitHubDelivery { key_id: "current", signature: &signature, body: &body };
    for _ in 0..2 {
        assert!(webhook.handle(&tokens, &actor(), delivery, no_keys).await.is_ok());
    }
}

#[tokio::test]
async fn of_a_thousand_reported_three_are_ours() {
    let (tokens, webhook) = (service(), webhook());
    let ours = [issue(&tokens).await, issue(&tokens).await, issue(&tokens).await];
    let spared = issue(&tokens).await;
    let look_alike = |number: usize| with_checksum(&format!("{}{number:03}......", &ours[0][..ours[0].len() - 9]));
    // One of the look-alikes can be the token itself by chance.
    let mut all: Vec<String> = (0..998).map(look_alike).filter(|text| *text != ours[0]).take(997).collect();
    for (number, text) in ours.iter().enumerate() {
        all.insert(number * 400, text.clone());
    }
    let (handled, body) = deliver(&tokens, &webhook, CURRENT, &report(&all)).await.unwrap();
    assert_eq!(handled.leaks.len(), 1000);
    let labels: Vec<Value> = serde_json::from_str(&body).unwrap();
    let positive: Vec<usize> = (0..1000).filter(|at| labels[*at]["label"] == "true_positive").collect();
    assert_eq!(positive, [0, 400, 800]);
    for text in &ours {
        assert!(is_revoked(&tokens, text).await);
    }
    assert!(!is_revoked(&tokens, &spared).await);
}

/// Without a pepper, anyone can form a text with the id of another token, a valid tag and a valid
/// checksum. A report of such a text must not revoke the other token.
#[tokio::test]
async fn an_id_alone_ends_nothing() {
    let keyring = || keyfob::Keyring::unkeyed(crate::support::prefix());
    let made = |secret: &str| {
        let mut script = Script::of(&format!("{}{}", "1".repeat(15), secret.repeat(33)));
        mint_with(&mut script, &keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap()
    };
    let (issued, forged) = (made("a"), made("b"));
    assert_eq!(issued.record.id, forged.record.id);
    let store = MemoryStore::new();
    store.insert(issued.record, None, None).await.unwrap();
    let tokens = Tokens::new(keyring(), store).with_clock(FixedClock::new(now()));
    let report = async |text: &str| tokens.report_leak(&actor(), &LeakedToken::new(text).unwrap()).await.unwrap();
    assert_eq!(report(forged.token.expose_secret()).await, LeakOutcome::NotOurs);
    assert!(matches!(report(issued.token.expose_secret()).await, LeakOutcome::Revoked(_, _)));
}

#[tokio::test]
async fn a_body_that_is_no_report_is_refused() {
    let (tokens, webhook) = (service(), webhook());
    for body in [
        "",
        "{",
        "{}",
        "[1]",
        "[{}]",
        "[{\"token\": 1}]",
        "[{\"token\": null}]",
        "[{\"token\": \"a\", \"url\": 3}]",
        "\u{0}",
    ] {
        refused(deliver(&tokens, &webhook, CURRENT, body.as_bytes()).await, malformed(), 400);
    }
    refused(deliver(&tokens, &webhook, CURRENT, &[0xff, 0xfe]).await, malformed(), 400);
    refused(deliver(&tokens, &webhook, CURRENT, &"[".repeat(100_000).into_bytes()).await, malformed(), 400);
    let large = vec![b' '; 10_000_000];
    refused(deliver(&tokens, &webhook, CURRENT, &large).await, too_large(), 413);
    // A text that is longer than the longest possible token cannot be a token.
    let (handled, _) = deliver(&tokens, &webhook, CURRENT, &report(&["a".repeat(513), "a".repeat(512)])).await.unwrap();
    assert_eq!(handled.leaks.len(), 1);
    assert_eq!(deliver(&tokens, &webhook, CURRENT, b"[]").await.unwrap().1, "[]");
}

#[test]
fn malformed_public_keys_are_refused() {
    let published = String::from_utf8(published()).unwrap();
    for answer in
        ["", "{}", "[]", "{\"public_keys\": [{\"key_identifier\": \"a\", \"key\": \"b\", \"is_current\": true}]}"]
    {
        assert!(GitHubKeys::from_json(answer.as_bytes()).is_err(), "{answer}");
    }
    assert!(GitHubKeys::from_json(published.replace("MFkw", "MFkx").as_bytes()).is_err());
}

#[derive(Default)]
struct Heard(Mutex<Vec<(&'static str, bool)>>);

impl EventSink for Heard {
    fn record(&self, event: &Event<'_>) {
        let is_first = matches!(event, Event::Leaked { is_first: true, .. });
        self.0.lock().unwrap().push((event.name(), is_first));
    }
}

#[tokio::test]
async fn the_sink_receives_an_event_for_each_report() {
    let heard = Arc::new(Heard::default());
    let clock = FixedClock::new(now());
    let (tokens, webhook) = (service().with_events(Arc::clone(&heard)).with_clock(clock.clone()), webhook());
    let text = issue(&tokens).await;
    for more in ["", "another"] {
        clock.advance(SECOND);
        let (_, body) = deliver(&tokens, &webhook, CURRENT, &report(&[&text, more])).await.unwrap();
        assert!(body.contains("true_positive"));
    }
    assert_eq!(*heard.0.lock().unwrap(), [("issued", false), ("revoked", false), ("leaked", true), ("leaked", false)]);
}

/// A store in memory that fails in some calls of `revoke`. `fails_at` contains the indices of these
/// calls. The first call has the index 0.
pub(super) struct Halting {
    pub(super) store: MemoryStore,
    pub(super) calls: AtomicUsize,
    pub(super) fails_at: &'static [usize],
}

impl TokenStore for Halting {
    handed_on!(store: insert, find, find_recent, list, count, update, revoke_owner, revoke_family, revoke_issued_by, revoke_batch, rotate, touch_many);

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        if self.fails_at.contains(&self.calls.fetch_add(1, Ordering::SeqCst)) {
            return Err(StoreErrorKind::Unavailable.into());
        }
        self.store.revoke(key, revocation).await
    }
}

#[tokio::test]
async fn a_report_that_failed_half_way_can_be_repeated() {
    // The store fails when it revokes the second of three tokens. It also fails in the three
    // further attempts to revoke this token.
    let store = Halting { store: MemoryStore::new(), calls: AtomicUsize::new(0), fails_at: &[1, 3, 4, 5] };
    let clock = FixedClock::new(now());
    let (tokens, webhook) = (Tokens::new(keyring(), store).with_clock(clock.clone()), webhook());
    let body = report(&[issue(&tokens).await, issue(&tokens).await, issue(&tokens).await]);
    let signature = sign(CURRENT, &body);
    let delivery = GitHubDelivery { key_id: "current", signature: &signature, body: &body };
    let handled = webhook.handle(&tokens, &actor(), delivery, no_keys).await.unwrap();
    let [(_, Ok(LeakOutcome::Revoked(_, _))), (_, Err(_)), (_, Ok(LeakOutcome::Revoked(_, _)))] = &handled.leaks[..]
    else {
        panic!("{handled:?}")
    };
    assert_eq!(webhook.answer(&handled).unwrap_err().kind(), ErrorKind::Unavailable);
    clock.advance(SECOND);
    let (handled, _) = deliver(&tokens, &webhook, CURRENT, &body).await.unwrap();
    let [
        (_, Ok(LeakOutcome::RevokedBefore(_, _))),
        (_, Ok(LeakOutcome::Revoked(_, _))),
        (_, Ok(LeakOutcome::RevokedBefore(_, _))),
    ] = &handled.leaks[..]
    else {
        panic!("{handled:?}")
    };
}

#[tokio::test]
async fn a_token_for_which_the_store_failed_is_tried_again() {
    let store = Halting { store: MemoryStore::new(), calls: AtomicUsize::new(0), fails_at: &[0, 2] };
    let (tokens, webhook) = (Tokens::new(keyring(), store).with_clock(FixedClock::new(now())), webhook());
    let body = report(&[issue(&tokens).await, issue(&tokens).await]);
    let (report, _) = deliver(&tokens, &webhook, CURRENT, &body).await.unwrap();
    let [(_, Ok(LeakOutcome::Revoked(_, _))), (_, Ok(LeakOutcome::Revoked(_, _)))] = &report.leaks[..] else {
        panic!("{report:?}")
    };
    assert_eq!(tokens.store().calls.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn newer_keys_are_requested_once_and_used() {
    let (tokens, body) = (service(), report(&["a"]));
    let signature = sign(CURRENT, &body);
    let delivery = GitHubDelivery { key_id: "current", signature: &signature, body: &body };
    let asked = AtomicUsize::new(0);
    let published = || async {
        asked.fetch_add(1, Ordering::SeqCst);
        Some(GitHubKeys::from_json(&published()).unwrap())
    };
    // A new webhook has no keys. It fetches the published keys once and keeps them.
    let webhook = GitHubWebhook::default();
    assert!(webhook.handle(&tokens, &actor(), delivery, published).await.is_ok());
    assert!(webhook.handle(&tokens, &actor(), delivery, published).await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // The webhook fetches the published keys again, but the key of this delivery is not among them.
    let stranger = GitHubDelivery { key_id: "another", ..delivery };
    let refusal = webhook.handle(&tokens, &actor(), stranger, published).await.unwrap_err();
    assert_eq!((refusal, asked.load(Ordering::SeqCst)), (DeliveryRefusal::UnknownKey, 2));
    // If the webhook has the key, an invalid signature does not make it fetch the published keys.
    let forged = GitHubDelivery { signature: "AAAA", ..delivery };
    let refusal = webhook.handle(&tokens, &actor(), forged, published).await.unwrap_err();
    assert_eq!((refusal, asked.load(Ordering::SeqCst)), (DeliveryRefusal::Signature, 2));
}

#[tokio::test]
async fn nothing_shows_what_was_reported() {
    let (tokens, webhook) = (service(), webhook());
    let text = issue(&tokens).await;
    let secret = &text[text.rfind('_').unwrap() + 1..];
    let url = format!("https://paste.example/?t={text}");
    let finder = Finder::new([crate::support::prefix()]);
    let body = json!([{ "token": text, "url": url, "source": null }]).to_string().into_bytes();
    let reports = LeakReport::read_all(&body, &finder).unwrap();
    let signature = sign(CURRENT, &body);
    let delivery = GitHubDelivery { key_id: "current", signature: &signature, body: &body };
    let mut shown = vec![format!("{delivery:?}"), format!("{reports:?}")];
    let (handled, told) = answer(&tokens, &webhook, delivery).await.unwrap();
    shown.extend([told, format!("{handled:?}"), format!("{webhook:?}")]);
    let broken = LeakReport::read_all(&body[..body.len() - 1], &finder).unwrap_err();
    shown.extend([broken.to_string(), format!("{broken:?}")]);
    for shown in shown {
        // Four characters of the secret can occur by chance in the hexadecimal digits of a hash.
        // Eight characters cannot.
        let has = |run: &[u8]| shown.as_bytes().windows(run.len()).any(|shown| shown == run);
        assert!(!secret.as_bytes().windows(8).any(has), "{shown}");
    }
}

/// Another node has the token in its cache and receives no invalidation. It accepts the token for
/// no longer than the bound of its cache.
#[cfg(feature = "cache")]
#[tokio::test]
async fn every_node_refuses_a_reported_token_within_its_bound() {
    const BOUND: Duration = Duration::from_millis(200);
    let store = Arc::new(MemoryStore::new());
    let node = || Tokens::new(keyring(), keyfob::store::cache::Cached::new(Arc::clone(&store), BOUND));
    let (told, others, webhook) = (node(), [node(), node()], webhook());
    let text = told.issue(&actor(), new_token()).await.unwrap().token.expose_secret().to_owned();
    let is_accepted = async |node: &Tokens<_>| node.verify(&text, &Access::to(&project("145"), &[])).await.is_ok();
    // After this, each node has the token in its cache.
    for node in others.iter().chain([&told]) {
        assert!(is_accepted(node).await);
    }
    assert!(told.store().counts().entries > 0);
    let body = report(&[&text]);
    let signature = sign(CURRENT, &body);
    let delivery = GitHubDelivery { key_id: "current", signature: &signature, body: &body };
    assert_eq!(webhook.handle(&told, &actor(), delivery, no_keys).await.unwrap().leaks.len(), 1);
    let answered = Instant::now();
    assert!(!is_accepted(&told).await);
    for node in &others {
        loop {
            let asked = answered.elapsed();
            if !is_accepted(node).await {
                break;
            }
            assert!(asked <= BOUND, "accepted {asked:?} after the report");
        }
    }
}
