//! Tests of the hook by which a host labels its other kinds of token in the response to GitHub.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use keyfob::clock::FixedClock;
use keyfob::leak::github::{
    DeliveryRefusal, GitHubDelivery, GitHubLabel, GitHubWebhook, OtherTokens, OtherTokensError, ProcessedReport,
    ReportedText,
};
use keyfob::store::StoreErrorKind;
use keyfob::{MemoryStore, TokenStore, Tokens};
use serde_json::{Value, json};

use super::github::{CURRENT, Halting, hash, is_revoked, issue, no_keys, service, sign, webhook};
use crate::support::{actor, keyring, now};

/// A host with deploy keys. It records the texts that it gets.
#[derive(Default)]
struct Host {
    got: Mutex<Vec<String>>,
}

impl OtherTokens for Host {
    async fn label(&self, reported: &ReportedText<'_>) -> Result<Option<GitHubLabel>, OtherTokensError> {
        self.got.lock().unwrap().push(reported.expose_secret().to_owned());
        assert_eq!((reported.url, reported.source), ("https://github.com/ada/repo", "content"));
        match (reported.kind, reported.expose_secret()) {
            ("acme_deploy_key", "deploy-1") => Ok(Some(GitHubLabel::TruePositive)),
            ("acme_deploy_key", "deploy-down") => Err("the database is away".into()),
            ("acme_deploy_key", _) => Ok(Some(GitHubLabel::FalsePositive)),
            _ => Ok(None),
        }
    }
}

fn hooked() -> (Arc<Host>, GitHubWebhook) {
    let host = Arc::new(Host::default());
    (Arc::clone(&host), webhook().with_other_tokens(host))
}

fn report(texts: &[(&str, &str)]) -> Vec<u8> {
    let one = |(kind, text): &(&str, &str)| json!({ "token": text, "type": kind, "url": "https://github.com/ada/repo", "source": "content" });
    texts.iter().map(one).collect::<Value>().to_string().into_bytes()
}

fn label(kind: &str, text: &str, label: &str) -> Value {
    json!({ "token_hash": hash(text), "token_type": kind, "label": label })
}

async fn deliver(
    tokens: &Tokens<impl TokenStore>,
    webhook: &GitHubWebhook,
    body: &[u8],
) -> Result<ProcessedReport, DeliveryRefusal> {
    let signature = sign(CURRENT, body);
    let delivery = GitHubDelivery { key_id: CURRENT.0, signature: &signature, body };
    webhook.handle(tokens, &actor(), delivery, no_keys).await
}

#[tokio::test]
async fn the_host_labels_its_own_kinds_and_gets_no_token_of_keyfob() {
    let (tokens, (host, webhook)) = (service(), hooked());
    let token = issue(&tokens).await;
    let long = format!("-----BEGIN KEY-----{}", "k".repeat(2000));
    let texts = [
        ("acme_deploy_key", "deploy-1"),
        ("acme_pat", token.as_str()),
        ("acme_deploy_key", long.as_str()),
        ("acme_pat", "acme_pat_145_typo"),
        ("acme_deploy_key", "deploy-2"),
    ];
    let handled = deliver(&tokens, &webhook, &report(&texts)).await.unwrap();
    assert!(is_revoked(&tokens, &token).await);
    assert_eq!(*host.got.lock().unwrap(), ["deploy-1", long.as_str(), "acme_pat_145_typo", "deploy-2"]);
    let entries: Vec<usize> = handled.others.iter().map(|other| other.entry).collect();
    assert_eq!(entries, [0, 2, 4]);
    let body: Value = serde_json::from_str(&webhook.answer(&handled).unwrap()).unwrap();
    let expected = json!([
        label("acme_deploy_key", "deploy-1", "true_positive"),
        label("acme_pat", &token, "true_positive"),
        label("acme_deploy_key", &long, "false_positive"),
        label("acme_pat", "acme_pat_145_typo", "false_positive"),
        label("acme_deploy_key", "deploy-2", "false_positive"),
    ]);
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_text_that_the_host_cannot_handle_has_no_label_and_the_others_have() {
    let (tokens, (_, webhook)) = (service(), hooked());
    let token = issue(&tokens).await;
    let texts = [("acme_deploy_key", "deploy-down"), ("acme_pat", token.as_str()), ("acme_deploy_key", "deploy-1")];
    let body = report(&texts);
    let handled = deliver(&tokens, &webhook, &body).await.unwrap();
    assert_eq!(handled.others[0].outcome.as_ref().unwrap_err().to_string(), "the database is away");
    assert_eq!(handled.others[0].text_hash, <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest("deploy-down")));
    let answer: Value = serde_json::from_str(&webhook.answer(&handled).unwrap()).unwrap();
    let expected =
        json!([label("acme_pat", &token, "true_positive"), label("acme_deploy_key", "deploy-1", "true_positive"),]);
    assert_eq!(answer, expected);
    assert!(matches!(deliver(&tokens, &webhook, &body).await, Err(DeliveryRefusal::Replayed)));
}

/// If the store of keyfob fails, the text may be a token of keyfob. The host does not get it, and
/// the delivery is not answered.
#[tokio::test]
async fn a_text_that_keyfob_could_not_look_up_is_not_labelled_by_the_host() {
    let (host, webhook) = hooked();
    let store = Halting { store: MemoryStore::new(), calls: AtomicUsize::new(0), fails_at: &[0, 1, 2, 3] };
    let tokens = Tokens::new(keyring(), store).with_clock(FixedClock::new(now()));
    let text = issue(&tokens).await;
    let handled = deliver(&tokens, &webhook, &report(&[("acme_pat", &text)])).await.unwrap();
    assert!(host.got.lock().unwrap().is_empty());
    let error = webhook.answer(&handled).unwrap_err();
    assert_eq!(error.store().map(|error| error.kind()), Some(StoreErrorKind::Unavailable));
}

#[test]
fn nothing_shows_a_reported_text() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (tokens, (_, webhook)) = (service(), hooked());
    let body = report(&[("acme_deploy_key", "deploy-1")]);
    let handled = runtime.block_on(deliver(&tokens, &webhook, &body)).unwrap();
    for shown in [format!("{handled:?}"), format!("{webhook:?}")] {
        assert!(!shown.contains("deploy-1"), "{shown}");
    }
}
