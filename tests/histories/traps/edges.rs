//! Tests edge cases: the maximum time, the times around an expiry, several prefixes, texts that are
//! not tokens, schemes in upper and lower case, and IPv4 addresses in IPv6 form.

use std::time::Duration;

use keyfob::{
    Access, Credential, ErrorKind, Keyring, Lifetime, Policy, Prefix, Rejection, Status, Timestamp, TokenStore, Tokens,
    error::HeaderError,
    policy::PolicyBreach,
    record::{AddressRanges, RevocationReason},
    rotation::Rotation,
    store::{ListQuery, PageSize, StatusFilter, StatusGroup},
};

use crate::support::{actor, kind_of, pepper, prefix};
use crate::traps::world::{DAY, HOUR, MS, World};

pub async fn now_plus_lifetime_overflow(mut world: World) {
    world.clock.set(Timestamp::MAX.saturating_sub(HOUR));
    let asked = [Lifetime::Default, Lifetime::For(HOUR + MS), Lifetime::For(Duration::MAX)];
    for lifetime in asked {
        let refused = world.tokens.issue(&actor(), world.new_token().with_lifetime(lifetime)).await.unwrap_err();
        let ErrorKind::Policy(breach) = refused.kind() else { panic!("{refused}") };
        assert!(matches!(breach, PolicyBreach::PastEndOfTime | PolicyBreach::TooLong), "{refused}");
    }
    let pending = world.new_token().with_lifetime(Lifetime::For(HOUR)).with_confirm_within(Duration::MAX);
    assert!(world.tokens.issue(&actor(), pending).await.is_err());
    let made = world.make(world.new_token().with_lifetime(Lifetime::For(HOUR))).await;
    assert_eq!(made.record.expires_at, Some(Timestamp::MAX));
    let policy = Policy::default().with_max_unused(Duration::MAX).with_max_grace(Duration::MAX);
    world.tokens = world.tokens.with_policy(policy);
    assert_eq!(world.outcome(&made).await, "ok");
    // The rotation succeeds. The grace period ends when the old token expires, at the end of time.
    assert!(world.tokens.rotate(&actor(), &made.record.key(), Rotation::with_grace(Duration::MAX)).await.is_ok());
    assert!(world.tokens.claim_notices(Duration::MAX, PageSize::default()).await.is_ok());
    assert_eq!(world.tokens.purge(Duration::MAX).await.unwrap(), 0);
    world.clock.set(Timestamp::MAX);
    assert_eq!(world.outcome(&made).await, "rotated");
    assert!(world.tokens.issue(&actor(), world.new_token()).await.is_err());
}

pub async fn exactly_at_expiry_on_every_path(world: World) {
    let made = world.make(world.new_token().with_lifetime(Lifetime::For(DAY))).await;
    let waits = world.make(world.new_token().with_lifetime(Lifetime::For(2 * DAY)).with_confirm_within(DAY)).await;
    let rotated = world.make(world.new_token().with_lifetime(Lifetime::For(2 * DAY))).await;
    world.tokens.rotate(&actor(), &rotated.record.key(), Rotation::with_grace(DAY)).await.unwrap();
    let end = made.record.expires_at.unwrap();
    let live = async || {
        let mut query = ListQuery::new(world.project);
        query.status = Some(StatusFilter { group: StatusGroup::Live, at: world.tokens.now() });
        let listed = world.tokens.list(&query).await.unwrap().items.len();
        let mut count = keyfob::store::CountQuery::new(world.project);
        count.status = query.status;
        assert_eq!(world.tokens.store().count(&count).await.unwrap(), listed as u64);
        listed
    };

    world.clock.set(end.saturating_sub(MS));
    assert_eq!(world.outcome(&made).await, "ok");
    assert_eq!(world.outcome(&waits).await, "pending");
    assert_eq!(world.outcome(&rotated).await, "ok");
    assert_eq!(live().await, 4);
    assert_eq!(
        world.tokens.claim_notices(MS, PageSize::default()).await.unwrap().len(),
        0,
        "a token for one day gets no notice here"
    );
    let (key, waits_key) = (made.record.key(), waits.record.key());
    assert!(world.tokens.disable(&actor(), &key).await.is_ok());
    assert!(world.tokens.enable(&actor(), &key).await.is_ok());

    world.clock.set(end);
    assert_eq!(world.outcome(&made).await, "expired");
    assert_eq!(world.outcome(&waits).await, "lapsed");
    assert_eq!(world.outcome(&rotated).await, "rotated");
    assert_eq!(live().await, 1, "the successor");
    let ended = |outcome| match kind_of(outcome) {
        Err(ErrorKind::Ended(status)) => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(ended(world.tokens.disable(&actor(), &key).await), Status::Expired);
    assert_eq!(ended(world.tokens.rename(&actor(), &key, "late".parse().unwrap()).await), Status::Expired);
    assert_eq!(ended(world.tokens.confirm(&actor(), &waits_key).await), Status::Lapsed);
    assert!(world.tokens.rotate(&actor(), &key, Rotation::with_grace(HOUR)).await.is_err());
    assert_eq!(world.tokens.get(&key).await.unwrap().unwrap().status, Status::Expired);
    let explained = world.tokens.explain(made.token.expose_secret(), &Access::to(&world.project, &[])).await.unwrap();
    assert_eq!(explained.fails, [Rejection::Expired]);
    // A purge deletes only tokens that ended before the given time. A token that ended exactly at
    // that time stays.
    assert_eq!(world.tokens.purge(Duration::ZERO).await.unwrap(), 0);
    world.clock.advance(MS);
    assert_eq!(world.tokens.purge(Duration::ZERO).await.unwrap(), 3);
}

pub async fn two_prefixes_active(world: World) {
    let next = Prefix::new("acme_pat2").unwrap();
    let ring = |first: Prefix, second| {
        let builder = Keyring::builder(first).mint_with(keyfob::keys::KeyNumber::FIRST, pepper());
        builder.accept_prefix(second).build().unwrap()
    };
    let old = world.issue().await;
    let tokens = Tokens::new(ring(next, prefix()), world.tokens.store()).with_clock(world.clock.clone());
    let new = tokens.issue(&actor(), world.new_token()).await.unwrap();
    assert!(new.token.expose_secret().starts_with("acme_pat2_145_"));
    let access = Access::to(&world.project, &[]);
    assert!(tokens.verify(old.token.expose_secret(), &access).await.is_ok());
    assert!(tokens.verify(new.token.expose_secret(), &access).await.is_ok());
    // If the prefix in a token's text is replaced by the other prefix, the text is not that token.
    let swapped = old.token.expose_secret().replace("acme_pat_", "acme_pat2_");
    let error = tokens.verify(&swapped, &access).await.unwrap_err();
    assert_eq!(error.rejection(), Some(Rejection::Checksum));
    let only_new = Tokens::new(Keyring::new(next, pepper()), world.tokens.store());
    let error = only_new.verify(old.token.expose_secret(), &access).await.unwrap_err();
    assert_eq!(error.rejection(), Some(Rejection::Prefix));
    // A rotation with the new keyring returns a token with the new prefix.
    let rotated = tokens.rotate(&actor(), &old.record.key(), Rotation::with_grace(HOUR)).await.unwrap();
    assert!(rotated.issued.token.expose_secret().starts_with("acme_pat2_145_"));
}

pub async fn presented_texts_that_are_no_tokens(world: World) {
    let made = world.issue().await;
    let text = made.token.expose_secret();
    let huge = "x".repeat(10_000_000);
    let wrapped = [format!(" {text}"), format!("{text} "), format!("\t{text}\n"), format!("{text}\0")];
    let mut none: Vec<&[u8]> = vec![b"", huge.as_bytes(), "é".as_bytes(), b"\0", b"\xff\xfe", b"Bearer"];
    let non_ascii = text.replacen('a', "á", 1);
    none.push(non_ascii.as_bytes());
    none.extend(wrapped.iter().map(String::as_bytes));
    let access = Access::to(&world.project, &[]);
    for bytes in none {
        let error = world.tokens.verify(bytes, &access).await.unwrap_err();
        assert!(error.rejection().unwrap().is_before_store());
        assert_eq!(error.to_string(), "the token is not valid");
    }
    let twice = [format!("Bearer {text}"), format!("Bearer {text}")];
    assert_eq!(Credential::from_authorization(&twice, world.tokens.keyring()).unwrap_err(), HeaderError::Repeated);
    let nothing: [&str; 0] = [];
    assert_eq!(Credential::from_authorization(nothing, world.tokens.keyring()).unwrap_err(), HeaderError::Missing);
    // A header without a credential has its own error. A credential that is not a token is rejected
    // like any other text that is not a token.
    for no_credential in ["Bearer ", "Basic %%%", "Digest a", "\0"] {
        assert!(Credential::from_authorization([no_credential], world.tokens.keyring()).is_err(), "{no_credential}");
    }
    let two = Credential::from_authorization(["Bearer a b"], world.tokens.keyring()).unwrap();
    assert_eq!(world.tokens.verify(&two, &access).await.unwrap_err().rejection(), Some(Rejection::Length));
    assert_eq!(world.outcome(&made).await, "ok");
}

pub async fn bearer_in_any_case(world: World) {
    let made = world.issue().await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let header = format!("{scheme} {}", made.token.expose_secret());
        let credential = Credential::from_authorization([header.as_str()], world.tokens.keyring()).unwrap();
        assert!(world.tokens.verify(&credential, &Access::to(&world.project, &[])).await.is_ok(), "{scheme}");
    }
}

pub async fn ipv4_mapped_in_ipv6(world: World) {
    let ranges = AddressRanges::new("10.0.0.0/8").unwrap();
    let made = world.make(world.new_token().with_addresses(ranges)).await;
    let from = async |address: Option<&str>| {
        let mut access = Access::to(&world.project, &[]);
        if let Some(address) = address {
            access = access.from_address(address.parse().unwrap());
        }
        world.tokens.verify(made.token.expose_secret(), &access).await.map(drop).map_err(|error| error.rejection())
    };
    for inside in ["10.1.2.3", "::ffff:10.1.2.3", "10.255.255.255"] {
        assert_eq!(from(Some(inside)).await, Ok(()), "{inside}");
    }
    for outside in [Some("11.0.0.0"), Some("::ffff:11.0.0.0"), Some("::10.1.2.3"), Some("2001:db8::a01:203"), None] {
        assert_eq!(from(outside).await, Err(Some(Rejection::Address)), "{outside:?}");
    }
    let reason = RevocationReason::default();
    world.tokens.revoke(&actor(), &made.record.key(), reason).await.unwrap();
    assert_eq!(
        from(Some("11.0.0.0")).await,
        Err(Some(Rejection::Revoked)),
        "the state of the token is checked before its limits"
    );
}
