//! Fuzzes `check`. `check` must accept a token if and only if all rules hold. Otherwise it must
//! return the first rule that does not hold.
//!
//! The fuzz target has its own implementation of the rules, and compares the results.
#![no_main]

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use keyfob::{
    Access, Policy, PresentedToken, ProjectId, Rejection, Scope, ScopeSet, access::ProjectRequirement,
    record::AddressRanges,
};
use keyfob::{Timestamp, TokenKind, TokenRecord, check};
use keyfob_fuzz::address::{Block, address, blocks, lies_in};
use keyfob_fuzz::{ISSUED, KEYED, any, maybe, now, record, time};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Errors are ignored. They are rare, because `Unstructured` returns zeros if the data ends
    // early.
    let _ = judge(&mut Unstructured::new(data));
});

/// Runs `check` on arbitrary arguments, and compares its result with the first rule that does not
/// hold.
fn judge(u: &mut Unstructured<'_>) -> Result<()> {
    let token = PresentedToken::parse(u.choose(&ISSUED)?.token.expose_secret(), &KEYED).expect("issued");
    let (granted, needed) = (scopes(u)?, scopes(u)?);
    let scopes: Vec<Scope> = needed.iter().map(|text| Scope::new(text).expect("a scope")).collect();
    let blocks = blocks(u)?;
    let from = maybe(u, |u| address(u, &blocks))?;
    let (max, never) = (Duration::from_millis(u.int_in_range(0..=4)?), u.arbitrary()?);
    let policy = Policy::default().with_max_lifetime(max).with_never_expiring(never);
    // The two setters do not change the lifetimes of agents. So agents get the same lifetimes here.
    let lifetimes = *policy.lifetimes(TokenKind::Human);
    let policy = policy.with_lifetimes(TokenKind::Agent, lifetimes);
    let now = time(u)?;
    let record = maybe(u, |u| stored(u, &granted, &blocks))?;
    let own: bool = u.arbitrary()?;
    let project: ProjectId = any(u, "145")?;

    let expected = record.as_ref().map_or(Some(Rejection::Unknown), |record| {
        let millis = Timestamp::as_unix_millis;
        let reached = |time: Option<Timestamp>| time.is_some_and(|time| millis(time) <= millis(now));
        let presented = KEYED.digest(&token.text()).expect("a known key");
        let is_its =
            record.digest.as_bytes() == presented.as_bytes() && record.public_part() == token.text().public_part();
        let lifetime = record.expires_at.map(|end| millis(end) - millis(record.created_at));
        let rules = [
            (Rejection::Digest, is_its),
            (Rejection::Revoked, record.revoked.is_none()),
            (Rejection::Rotated, !reached(record.grace_until)),
            (Rejection::Lapsed, !reached(record.confirm_by)),
            (Rejection::Expired, !reached(record.expires_at)),
            (Rejection::Disabled, record.disabled.is_none()),
            (Rejection::Pending, record.confirm_by.is_none()),
            (Rejection::NotYetValid, record.not_before.is_none() || reached(record.not_before)),
            (Rejection::Policy, lifetime.map_or(never, |lifetime| lifetime <= max.as_millis() as i64)),
            // `check` receives the record without its issuers, so it must reject a bound token.
            (Rejection::IssuerEnded, record.issuer.is_none_or(|issuer| !issuer.bound)),
            (Rejection::Project, own || record.project == project),
            (Rejection::Address, blocks.is_empty() || from.is_some_and(|from| lies_in(from, &blocks))),
            (Rejection::Scope, needed.iter().all(|needed| grants(&granted, needed))),
        ];
        rules.iter().find(|(_, holds)| !holds).map(|(rejection, _)| *rejection)
    });
    if own {
        compare(&token, record, Access::to_own_project(&scopes), from, &policy, now, expected);
    } else {
        compare(&token, record, Access::to(&project, &scopes), from, &policy, now, expected);
    }
    Ok(())
}

/// Runs `check` and asserts that it returns the expected rejection, or accepts the token if
/// `expected` is `None`.
fn compare<P: ProjectRequirement>(
    token: &PresentedToken<'_>,
    record: Option<TokenRecord>,
    access: Access<'_, P>,
    from: Option<IpAddr>,
    policy: &Policy,
    now: Timestamp,
    expected: Option<Rejection>,
) {
    let access = from.map_or(access, |from| access.from_address(from));
    let record = record.map(Arc::new);
    match check(token, record.clone().into(), &access, policy, now) {
        Ok(verified) => {
            assert_eq!(expected, None, "accepted although a rule does not hold");
            assert_eq!(verified.key(), token.key());
            assert_eq!(Some(verified.view()), record.map(|record| record.view(now)));
        }
        Err(rejection) => assert_eq!(Some(rejection), expected, "rejected by the wrong rule"),
    }
}

/// Returns a record for an issued token. Some of the fields on which the result of `check` depends
/// have arbitrary values.
fn stored(u: &mut Unstructured<'_>, granted: &[String], blocks: &[Block]) -> Result<TokenRecord> {
    let issued = u.choose(&ISSUED)?.record.clone();
    let changed: u16 = u.arbitrary()?;
    let other = if changed == 0 { issued.clone() } else { record(u)? };
    let is = |bit: u16| changed >> bit & 1 == 1;
    let mut digest = *issued.digest.as_bytes();
    if is(0) {
        digest[u.choose_index(32)?] ^= 1 << u.int_in_range(0..=7)?;
    }
    let blocks: Vec<String> = blocks.iter().map(|(base, bits)| format!("{base}/{bits}")).collect();
    let mut record = other;
    record.digest = digest.as_slice().try_into().expect("32 bytes");
    if !is(1) {
        record.prefix = issued.prefix;
    }
    if !is(2) {
        record.project = issued.project;
    }
    if !is(3) {
        record.id = issued.id;
    }
    record.scopes = ScopeSet::new(&granted.join(" ")).expect("scopes");
    record.addresses = AddressRanges::new(&blocks.join(" ")).expect("blocks");
    if !is(4) {
        record.created_at = now();
    }
    if !is(5) {
        record.expires_at = now().checked_add(Duration::from_millis(2));
    }
    record.confirm_by.take_if(|_| !is(6));
    record.not_before.take_if(|_| !is(7));
    record.grace_until.take_if(|_| !is(8));
    record.disabled.take_if(|_| !is(9));
    record.revoked.take_if(|_| !is(10));
    Ok(record)
}

/// Returns up to three scopes.
fn scopes(u: &mut Unstructured<'_>) -> Result<Vec<String>> {
    const SOME: [&str; 10] =
        ["repo:*", "repo:read", "repo", "repo:", "repo:issues:*", "user", "*", ":*", ":", "repository:read"];
    let scope = |u: &mut Unstructured<'_>| {
        let usual = u.choose(&SOME)?;
        Ok(any::<Scope>(u, usual)?.to_string())
    };
    (0..u.int_in_range(0..=3)?).map(|_| scope(u)).collect()
}

/// Returns whether one of the granted scopes covers the needed scope. A scope `a:*` covers all
/// scopes that begin with `a:`. The scope `*` covers all scopes.
fn grants(granted: &[String], needed: &str) -> bool {
    granted.iter().any(|granted| match granted.rsplit_once(':') {
        Some((under, "*")) if !under.is_empty() => needed.strip_prefix(under).is_some_and(|rest| rest.starts_with(':')),
        _ => granted == "*" || granted == needed,
    })
}
