//! Tests of the store in Redis: every law of the store contract, on a cluster and on a single
//! server, and the features that only this engine has.

mod fences;
mod lost_nodes;
mod partition;

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyfob::{
    Access, ErrorKind, Policy, Status, TokenKey, TokenRecord, TokenStore, Tokens,
    conformance::Handles,
    mint,
    record::{Revocation, RevocationReason},
    store::{
        DynStore, LastUse, StoreErrorKind, StoreMaintenance,
        redis::{Durability, RedisOptions, RedisStore},
    },
};
use tokio::task::JoinSet;

#[cfg(feature = "serde")]
use crate::support::kit::serves_texts_of_an_earlier_rule;
use crate::support::kit::{World, keeps_the_laws_of_tokens};
use crate::support::redis::{Servers, shared_cluster, shared_server};
use crate::support::{actor, keyring, new_token, now};

mod on_a_cluster {
    use super::*;

    async fn world() -> Option<World> {
        let servers = shared_cluster()?;
        World::without_imports(servers.store().await, servers)
    }

    each_law!([token_store, maintenance, rules], world().await);
}

#[tokio::test]
async fn on_a_cluster_with_the_feed() {
    let Some(servers) = shared_cluster() else { return };
    keeps_the_laws_of_tokens(&DynStore::new(servers.store().await.with_feed())).await;
}

#[tokio::test]
async fn on_a_server() {
    let Some(servers) = shared_server() else { return };
    keeps_the_laws_of_tokens(&DynStore::new(servers.store().await)).await;
}

mod on_a_cluster_with_two_handles {
    use super::*;

    async fn handles() -> Option<World> {
        let servers = shared_cluster()?;
        World::without_imports(Handles::new(servers.store().await, servers.store().await), servers)
    }

    each_law!([shared, shared_maintenance], handles().await);
}

async fn insert(store: &RedisStore) -> TokenKey {
    let issued = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let key = issued.record.key();
    store.insert(issued.record, None, None).await.unwrap();
    key
}

fn revocation() -> Revocation {
    Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise }
}

/// Returns the texts of all causes of an error, each followed by `; `.
fn cause(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!("{error}; ");
        cause = error.source();
    }
    text
}

/// The revocation of an owner with many tokens is one operation, but one script for it would block
/// the server for too long. The store runs many short scripts instead. When the operation is
/// acknowledged, none of the tokens verifies.
#[tokio::test]
async fn an_owner_of_many_is_revoked_by_short_scripts() {
    const MANY: usize = 20_000;
    // Concurrent inserts share one write to the disk, so this many inserts run at the same time.
    const AT_ONCE: usize = 200;
    let Some(servers) = Servers::one() else { return };
    let store = servers.store().await;
    let tokens = Tokens::new(keyring(), store.clone());
    let mut texts = Vec::new();
    for batch in 0..MANY / AT_ONCE {
        let mut inserts = JoinSet::new();
        for _ in 0..AT_ONCE {
            let issued = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
            if inserts.is_empty() && batch % 5 == 0 {
                texts.push(issued.token.expose_secret().to_owned());
            }
            let store = store.clone();
            inserts.spawn(async move { store.insert(issued.record, None, None).await.unwrap() });
        }
        assert_eq!(inserts.join_all().await.len(), AT_ONCE);
    }
    servers.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "100000"]);
    servers.ask(&["SLOWLOG", "RESET"]);
    let record = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap().record;
    let (project, owner) = (record.project, record.owner.clone());

    // The test drops the call when the first token is rejected, which is before all tokens are
    // written. Other calls must finish the revocation.
    let (revoking, watching) = (store.clone(), store.clone());
    let mine = owner.clone();
    let act = tokio::spawn(async move { revoking.revoke_owner(&project, &mine, &revocation()).await });
    let access = Access::to(&record.project, &[]);
    let first = Tokens::new(keyring(), watching);
    while first.verify(&texts[0], &access).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    act.abort();
    let dropped = act.await.is_err();
    println!("the caller {}", if dropped { "was dropped half-way" } else { "was too fast to be dropped" });
    for text in &texts {
        let refused = tokens.verify(text, &access).await.unwrap_err();
        assert_eq!(refused.rejection().unwrap().as_str(), "revoked");
    }
    store.revoke_owner(&project, &owner, &revocation()).await.unwrap();
    // The revocation does not apply to tokens that the owner gets later.
    let fresh = insert(&store).await;
    assert!(store.find(&fresh).await.unwrap().unwrap().revoked.is_none());
    let slow = servers.ask(&["SLOWLOG", "LEN"]);
    assert_eq!(slow.trim(), "0", "{}", servers.ask(&["SLOWLOG", "GET"]));
}

#[tokio::test]
async fn a_server_that_may_lose_tokens_is_refused() {
    let Some(servers) = Servers::one() else { return };
    for (setting, weak, strong) in [
        ("appendfsync", "everysec", "always"),
        ("appendonly", "no", "yes"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ] {
        servers.ask(&["CONFIG", "SET", setting, weak]);
        let error = RedisStore::connect(servers.urls()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Other);
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains(setting) && why.contains(weak), "{why}");
        servers.ask(&["CONFIG", "SET", setting, strong]);
    }
    RedisStore::connect(servers.urls()).await.unwrap();
}

/// The URL can contain a password, so no error may contain the URL.
#[tokio::test]
async fn no_error_shows_the_url() {
    for url in ["redis://ada:hunter2@[", "postgres://ada:hunter2@db/x", "redis://ada:hunter2@127.0.0.1:1/"] {
        let error = RedisStore::connect([url]).await.unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_crash_of_the_server_loses_nothing_that_was_acknowledged() {
    let Some(mut servers) = Servers::one() else { return };
    let store = servers.store().await;
    let mut keys = Vec::new();
    for _ in 0..50 {
        keys.push(insert(&store).await);
    }
    servers.kill(0);
    assert_eq!(store.find(&keys[0]).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    servers.go(0);
    for key in &keys {
        assert!(store.find(key).await.unwrap().is_some());
    }
}

/// If the server does not let the store read its settings, `connect` fails. The caller can use
/// `RedisOptions::unchecked` instead, and is then responsible for the settings.
#[tokio::test]
async fn a_server_that_refuses_config_needs_the_unchecked_constructor() {
    let Some(servers) = Servers::one() else { return };
    servers.ask(&["ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config"]);
    let urls = || servers.urls().into_iter().map(|url| url.replace("redis://", "redis://app:secret@"));
    let error = RedisStore::connect(urls()).await.unwrap_err();
    assert!(cause(&error).contains("no permissions"), "{}", cause(&error));
    let store = RedisStore::connect_with(RedisOptions::new(urls()).unchecked()).await.unwrap();
    let key = insert(&store).await;
    assert!(store.revoke(&key, &revocation()).await.unwrap().unwrap().revoked.is_some());
}

#[tokio::test]
async fn a_cluster_that_may_elect_a_replica_without_a_copy_is_refused() {
    let Some(servers) = Servers::cluster(0) else { return };
    servers.ask_node(1, &["CONFIG", "SET", "cluster-replica-validity-factor", "0"]);
    let error = RedisStore::connect(servers.urls()).await.unwrap_err();
    assert!(cause(&error).contains("cluster-replica-validity-factor 0"), "{}", cause(&error));
}

/// The store's user on the server may not run `ROLE` and `INFO`. So the store applies a revocation,
/// but cannot check that the replicas have it. The call fails, and its error contains the cause.
#[tokio::test]
async fn the_cause_of_an_unknown_durability_is_reported() {
    let Some(servers) = Servers::one() else { return };
    servers.ask(&["ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all"]);
    let urls = servers.urls().into_iter().map(|url| url.replace("redis://", "redis://app:secret@"));
    let store = RedisStore::connect(urls).await.unwrap();
    let key = insert(&store).await;
    servers.ask(&["ACL", "SETUSER", "app", "-role", "-info"]);
    let error = store.revoke(&key, &revocation()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(cause(&error).contains("no permissions"), "{}", cause(&error));
    servers.ask(&["ACL", "SETUSER", "app", "+role", "+info"]);
    assert!(store.find(&key).await.unwrap().unwrap().revoked.is_some());
}

/// While a replica is down or suspended, verifications succeed and each revocation fails within two
/// seconds. After the replica is back, repeats of the revocations are acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_away_holds_up_nobody() {
    const REVOKED: usize = 20;
    let Some(mut servers) = Servers::cluster(1) else { return };
    let store = servers.store().await;
    let issued = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let (text, project) = (issued.token.expose_secret().to_owned(), issued.record.project);
    store.insert(issued.record, None, None).await.unwrap();
    let master = servers.master_of(&project);
    let replica = servers.replica_of(master);
    for is_killed in [true, false] {
        let mut keys = Vec::new();
        for _ in 0..REVOKED {
            keys.push(insert(&store).await);
        }
        if is_killed {
            servers.kill(replica);
        } else {
            servers.suspend(replica);
        }
        let (verifying, text) = (store.clone(), text.clone());
        let verifier = tokio::spawn(async move {
            let tokens = Tokens::new(keyring(), verifying);
            let (mut slowest, mut count) = (Duration::ZERO, 0);
            let access = Access::to(&project, &[]);
            loop {
                let asked = Instant::now();
                tokens.verify(&text, &access).await.expect("verification goes on");
                slowest = slowest.max(asked.elapsed());
                count += 1;
                if asked.elapsed() > Duration::from_secs(1) || count % 10_000 == 0 {
                    println!("{count} verifications, the slowest {slowest:?}");
                }
                assert!(slowest < Duration::from_secs(1), "{slowest:?}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        // All revocations run at the same time. After them, one more revocation must fail faster,
        // because the store then knows that the replica is away.
        let revoked = keys.iter().map(|key| {
            let (store, key) = (store.clone(), *key);
            tokio::spawn(async move {
                let asked = Instant::now();
                (store.revoke(&key, &revocation()).await, asked.elapsed())
            })
        });
        let mut slowest = Duration::ZERO;
        for revoked in revoked.collect::<Vec<_>>() {
            let (revoked, took) = revoked.await.unwrap();
            let error = revoked.expect_err("a replica lacks it");
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            let why = cause(&error);
            assert!(why.contains("applied on the master, may be lost in a fail-over; repeat"), "{why}");
            slowest = slowest.max(took);
        }
        println!("killed: {is_killed}; the slowest of {REVOKED} revocations failed after {slowest:?}");
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
        let asked = Instant::now();
        store.revoke(&keys[0], &revocation()).await.expect_err("a replica lacks it");
        assert!(
            asked.elapsed() < Duration::from_millis(500),
            "the store knows that the replica is away, and still waited {:?}",
            asked.elapsed()
        );
        let weaker = store.clone().with_durability(Durability::OneReplica);
        weaker.revoke(&keys[0], &revocation()).await.expect_err("the only replica lacks it");
        if is_killed {
            servers.go(replica);
        } else {
            servers.resume(replica);
        }
        let back = Instant::now();
        for key in &keys {
            while let Err(error) = store.revoke(key, &revocation()).await {
                assert!(back.elapsed() < Duration::from_secs(15), "{}", cause(&error));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        println!("killed: {is_killed}; all repeats were acknowledged after {:?}", back.elapsed());
        verifier.abort();
        assert!(verifier.await.unwrap_err().is_cancelled(), "verification failed");
    }
}

/// If no replica has a change, the call that made the change fails. A repeat of the call finds
/// nothing left to change, but it must also fail as long as no replica has the change.
#[tokio::test]
async fn what_is_done_already_is_acknowledged_only_once_it_is_durable() {
    let Some(mut servers) = Servers::cluster(1) else { return };
    let store = servers.store().await;
    let key = insert(&store).await;
    let tokens = Tokens::new(keyring(), store);
    let replica = servers.replica_of(servers.master_of(&key.project));
    servers.kill(replica);
    for _ in 0..3 {
        match tokens.disable(&actor(), &key).await {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
            other => panic!("no replica has it: {other:?}"),
        }
    }
    servers.go(replica);
    let back = Instant::now();
    let disabled = loop {
        match tokens.disable(&actor(), &key).await {
            Ok(disabled) => break disabled,
            Err(error) => assert!(back.elapsed() < Duration::from_secs(15), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(disabled.status, Status::Disabled);
}

/// Writes of last uses and of the leases of notices do not wait for replicas, so they succeed while
/// the replica is away.
#[tokio::test]
async fn last_uses_do_not_wait_for_replicas() {
    let Some(mut servers) = Servers::cluster(1) else { return };
    let store = servers.store().await;
    let key = insert(&store).await;
    let replica = servers.replica_of(servers.master_of(&key.project));
    servers.kill(replica);
    let touched = store.touch_many(&[LastUse { key, used_at: now(), from: None }]).await;
    assert_eq!(touched.unwrap(), 1);
    let claimed =
        store.claim_notices(&key.project, &keyfob::notices::NoticeLead::ALL, now(), now(), Default::default()).await;
    assert!(claimed.unwrap().is_empty());
}

/// If no replica has a change, a fail-over would lose the change, so the store does not acknowledge
/// it.
#[tokio::test]
async fn a_change_that_no_replica_has_is_unavailable() {
    let Some(mut servers) = Servers::cluster(1) else { return };
    let store = servers.store().await;
    let key = insert(&store).await;
    let master = servers.master_of(&key.project);
    let replica = servers.replica_of(master);
    servers.kill(replica);
    assert_eq!(store.revoke(&key, &revocation()).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    servers.go(replica);
    servers.wait_until_linked(replica);
    // The master has applied the change. When the replica has it too, a repeat is acknowledged.
    assert!(store.revoke(&key, &revocation()).await.unwrap().unwrap().revoked.is_some());
}

#[tokio::test]
async fn a_killed_master_loses_nothing_that_was_acknowledged() {
    let Some(mut servers) = Servers::cluster(1) else { return };
    let store = servers.store().await;
    let mut keys = Vec::new();
    for _ in 0..50 {
        keys.push(insert(&store).await);
    }
    for key in &keys[..25] {
        store.revoke(key, &revocation()).await.unwrap();
    }
    servers.kill(servers.master_of(&keys[0].project));
    for (number, key) in keys.iter().enumerate() {
        let found = found_in_time(&store, key).await;
        assert_eq!(found.unwrap().revoked.is_some(), number < 25, "{number}");
    }
}

/// Returns the record of a token. Repeats the look-up while it fails with `Unavailable`, because a
/// replica needs some time to take over from its master.
async fn found_in_time(store: &RedisStore, key: &TokenKey) -> Option<Arc<TokenRecord>> {
    let asked = Instant::now();
    loop {
        match store.find(key).await {
            Ok(found) => return found,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable),
        }
        assert!(asked.elapsed() < Duration::from_secs(60), "no replica took over");
    }
}

/// If a connection is silent, the Redis client may wait for it forever. So the store replaces the
/// connection.
#[tokio::test]
async fn a_silent_connection_is_replaced() {
    let Some(servers) = Servers::cluster(0) else { return };
    let store = servers.store().await;
    let key = insert(&store).await;
    assert!(store.find(&key).await.unwrap().is_some());
    let master = servers.master_of(&key.project);
    let connected = || -> BTreeSet<String> {
        let list = servers.ask_node(master, &["CLIENT", "LIST"]);
        let others = list.lines().filter(|line| line.starts_with("id=") && !line.contains("cmd=client|list"));
        others.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let before = connected();
    servers.ask_node(master, &["CLIENT", "PAUSE", "6000", "ALL"]);
    assert_eq!(store.find(&key).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(store.find(&key).await.unwrap().is_some());
    let after = connected();
    assert!(!before.is_subset(&after), "{before:?} {after:?}");
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn texts_of_an_earlier_rule_are_served() {
    let Some(servers) = shared_server() else { return };
    serves_texts_of_an_earlier_rule(servers.store().await).await;
}

/// The id of one owner consists of the id of another owner and the suffix `waited`. This word is
/// also in some Redis keys of the store. The store must not confuse such a key with a key of an
/// owner.
#[tokio::test]
async fn an_owners_tokens_are_revoked_everywhere_whatever_another_owner_is_called() {
    let Some(servers) = Servers::cluster(1) else { return };
    let tokens = keyfob::Tokens::new(keyring(), servers.store().await);
    let new = |owner| {
        keyfob::NewToken::new("145".parse().unwrap(), keyfob::OwnerId::new(owner).unwrap(), "CI".parse().unwrap())
    };
    let made = tokens.issue(&actor(), new("{x}waited")).await.unwrap();
    tokens.issue(&actor(), new("{x}")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let group = keyfob::store::RevokeGroup::Owner(keyfob::OwnerId::new("{x}waited").unwrap());
    let revoked = tokens.revoke_everywhere(&actor(), &group, RevocationReason::KeyCompromise, None).await.unwrap();
    let verified = tokens
        .verify(made.token.expose_secret(), &keyfob::Access::to(&keyfob::ProjectId::new("145").unwrap(), &[]))
        .await;
    assert!(verified.is_err(), "revoke_everywhere returned Ok({revoked}), but the token still verifies");
}

/// A revocation that fails with 503 can still take effect. After a restore from a back-up, the
/// operator repeats each revocation for which the sink received an event. So a revocation that
/// failed must also emit an event.
#[tokio::test]
async fn a_revocation_that_may_have_been_applied_emits_its_event() {
    #[derive(Default)]
    struct Told(std::sync::Mutex<Vec<String>>);
    impl keyfob::events::EventSink for Told {
        fn record(&self, event: &keyfob::events::Event<'_>) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }
    let Some(mut servers) = Servers::cluster(1) else { return };
    let told = Arc::new(Told::default());
    let tokens = Tokens::new(keyring(), servers.store().await).with_events(Arc::clone(&told));
    let mut keys = Vec::new();
    for _ in 0..2 {
        keys.push(tokens.issue(&actor(), new_token()).await.unwrap().record.key());
    }
    let master = servers.master_of(&keys[0].project);
    let replica = servers.replica_of(master);
    let reason = RevocationReason::KeyCompromise;
    let group = keyfob::store::RevokeGroup::Owner("ada".parse().unwrap());
    servers.kill(replica);
    tokio::time::sleep(Duration::from_millis(500)).await;
    for times in 0.. {
        let one = tokens.revoke(&actor(), &keys[0], reason).await;
        let all = tokens.revoke_group(&actor(), &keys[0].project, &group, reason).await;
        if times == 0 {
            assert!(one.is_err() && all.is_err(), "{one:?} {all:?}");
            servers.go(replica);
        } else if one.is_ok() && all.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let told = told.0.lock().unwrap();
    for what in ["RevokeFailed {", "GroupRevokeFailed {"] {
        assert!(
            told.iter().any(|event| event.starts_with(what)),
            "the revocation was acknowledged, but no {what} ..}} was emitted: {told:#?}"
        );
    }
}

/// A leaked token is reported a second time while the replica is still away. The service must not
/// acknowledge the report, because a fail-over could undo the revocation.
#[tokio::test]
async fn a_repeated_report_of_a_leak_is_not_acknowledged_before_the_replica_has_it() {
    let Some(mut servers) = Servers::cluster(1) else { return };
    let tokens = Tokens::new(keyring(), servers.store().await);
    let made = tokens.issue(&actor(), new_token()).await.unwrap();
    let leaked = keyfob::leak::LeakedToken::new(made.token.expose_secret()).unwrap();
    let replica = servers.replica_of(servers.master_of(&made.record.project));
    servers.kill(replica);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let first = tokens.report_leak(&actor(), &leaked).await;
    assert_eq!(first.unwrap_err().kind(), ErrorKind::Unavailable);
    let revoked = tokens.revoke(&actor(), &made.record.key(), RevocationReason::KeyCompromise).await;
    assert!(revoked.is_err(), "revoke acknowledged a revocation that the replica does not have");
    let again = tokens.report_leak(&actor(), &leaked).await;
    assert!(again.is_err(), "report_leak acknowledged a revocation that the replica does not have: {again:?}");
}

/// The store's user on the server may run every command except `SUBSCRIBE`. The store must log and
/// count the error of its feed.
#[cfg(feature = "cache")]
#[tokio::test]
async fn a_feed_that_cannot_listen_is_counted() {
    use keyfob::store::cache::Feed;
    let Some(servers) = Servers::one_in(std::env::temp_dir(), &[]) else { return };
    assert_eq!(servers.ask(&["ACL", "SETUSER", "k", "on", ">pw", "~*", "&*", "+@all", "-subscribe"]).trim(), "OK");
    let url = servers.urls()[0].replace("redis://", "redis://k:pw@");
    let store = RedisStore::connect([url]).await.unwrap().with_feed();
    insert(&store).await;
    let mut feed = store.feed();
    for _ in 0..3 {
        assert_eq!(feed.next().await, keyfob::store::cache::FeedEvent::Lost);
    }
    assert!(store.background_faults() > 0, "no fault was counted");
}
