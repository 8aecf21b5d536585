//! The test cases for `claim_notices` and `acknowledge_notice`.

use std::sync::Arc;

use super::sample::{
    DAY, absent, at, disabled, ensure_absent, full, ids, kept, project, put, put_all, record, revocation, sibling,
    some, stored,
};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, same_but_version};
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::maintenance::StoreMaintenance;
use crate::store::query::PageSize;
use crate::words::ids::ProjectId;
use crate::words::timestamp::Timestamp;

/// Claims all notices that are due at `at(0)`, with a lease of one second.
async fn claim<S: StoreMaintenance>(store: &S, project: ProjectId) -> Result<Vec<Arc<TokenRecord>>, Broken> {
    Ok(store.claim_notices(&project, &NoticeLead::ALL, at(0), at(1000), PageSize::MAX).await?)
}

/// Returns a token for which a notice is due at `at(0)`, because it expires one hour later.
fn due(project: ProjectId) -> Result<TokenRecord, Broken> {
    Ok(TokenRecord { expires_at: Some(at(3_600_000)), ..record(project)? })
}

pub(super) async fn claim_takes_just_what_is_due<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    // Neither schedule contains the other, so a store must use the leads that it is given.
    claims_what_is_due(store, &NoticeLead::ALL).await?;
    let days = [60, 7, 3].map(NoticeLead::from_days);
    claims_what_is_due(store, &days.into_iter().collect::<Result<Vec<_>, _>>()?).await
}

async fn claims_what_is_due<S: TokenStore + StoreMaintenance>(store: &S, leads: &[NoticeLead]) -> Verdict {
    let project = project()?;
    let mut samples = vec![record(project)?];
    for days in [1, 3, 7, 30, 60] {
        let begins = at(0).saturating_add(DAY * days);
        let millis = begins.as_unix_millis();
        for expires_at in [millis - 1, millis, millis + 1] {
            let expires_at = Some(Timestamp::from_unix_millis(expires_at)?);
            for notice_lead in NoticeLead::ALL.map(Some).into_iter().chain([None]) {
                samples.push(TokenRecord { expires_at, notice_lead, ..record(project)? });
            }
        }
    }
    for millis in [-1, 0, 1] {
        samples.push(TokenRecord { expires_at: Some(at(millis)), ..record(project)? });
        samples.push(TokenRecord { grace_until: Some(at(millis)), ..due(project)? });
        samples.push(TokenRecord { confirm_by: Some(at(millis)), ..due(project)? });
        samples.push(TokenRecord { not_before: Some(at(millis)), ..due(project)? });
    }
    samples.push(TokenRecord { disabled: Some(disabled("root", -1)?), ..due(project)? });
    samples.push(TokenRecord { revoked: Some(revocation("root", -1)?), ..due(project)? });
    samples.push(TokenRecord { rotated_to: Some(samples[0].id), grace_until: Some(at(50)), ..due(project)? });
    put_all(store, &samples).await?;
    let expected = ids(samples.iter().filter(|sample| sample.due_notice(leads, at(0)).is_some()));
    let claimed = store.claim_notices(&project, leads, at(0), at(1000), PageSize::MAX).await?;
    ensure_eq!(ids(claimed), expected, "claimed");
    Ok(())
}

pub(super) async fn claim_stays_in_its_project<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let here = due(project()?)?;
    let there = due(sibling(here.project, '6')?)?;
    put_all(store, &[here.clone(), there.clone()]).await?;
    let claimed = claim(store, here.project).await?;
    ensure!(!claimed.iter().any(|claimed| claimed.id == there.id), "claimed in one project: a token of another");
    let lease = stored(store, &there.key()).await?.notice_lease_until;
    ensure_eq!(lease, None, "the lease of a token of another project");
    Ok(())
}

pub(super) async fn claim_respects_a_lease<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    let sample = TokenRecord { notice_lease_until: Some(at(1)), ..due(project)? };
    put(store, &sample).await?;
    ensure_eq!(ids(claim(store, project).await?), [], "claimed under another sender's lease");
    Ok(())
}

pub(super) async fn claim_takes_over_when_a_lease_ends<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    for millis in [-1, 0] {
        let sample = TokenRecord { notice_lease_until: Some(at(millis)), ..due(project)? };
        put(store, &sample).await?;
        let claimed = claim(store, project).await?;
        let what = format!("claimed at {}, of a lease until {}", at(0), at(millis));
        ensure!(claimed.iter().any(|claimed| claimed.id == sample.id), "{what}: not the token");
    }
    Ok(())
}

pub(super) async fn claim_writes_the_lease<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let filled = full(project()?)?;
    let sample = TokenRecord {
        confirm_by: None,
        rotated_to: None,
        grace_until: None,
        expires_at: Some(at(3_600_000)),
        notice_lease_until: None,
        ..filled
    };
    let before = kept(store, &sample).await?;
    let notice_leases = before.notice_leases + 1;
    let expected = TokenRecord { notice_lease_until: Some(at(1000)), notice_leases, ..TokenRecord::clone(&before) };
    let claimed = claim(store, before.project).await?;
    let claimed = some(claimed.iter().find(|claimed| claimed.id == before.id), "claim_notices")?;
    same_but_version(claimed, &expected, "the claimed record")?;
    same_but_version(&*stored(store, &before.key()).await?, &expected, "the record stored after a claim")
}

pub(super) async fn claim_leaves_the_version<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let before = kept(store, &due(project()?)?).await?;
    let claimed = claim(store, before.project).await?;
    ensure_eq!(stored(store, &before.key()).await?.version, before.version, "the version after a claim");
    for claimed in claimed {
        ensure_eq!(claimed.version, before.version, "the version of the claimed record");
    }
    Ok(())
}

pub(super) async fn claim_takes_the_soonest_first<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    let mut samples = Vec::new();
    for hours in [3, 1, 5, 2, 4] {
        samples.push(TokenRecord { expires_at: Some(at(hours * 3_600_000)), ..record(project)? });
    }
    put_all(store, &samples).await?;
    samples.sort_by_key(|sample| sample.expires_at);
    let mut claimed = Vec::new();
    for _ in 0..samples.len() {
        let batch = store.claim_notices(&project, &NoticeLead::ALL, at(0), at(1000), PageSize::clamped(2)).await?;
        claimed.extend(batch.iter().map(|record| record.expires_at));
    }
    let expected: Vec<_> = samples.iter().map(|sample| sample.expires_at).collect();
    ensure_eq!(claimed, expected, "the expiries of the claimed tokens, 2 at a time");
    Ok(())
}

pub(super) async fn claim_takes_no_more_than_asked<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    let samples = [due(project)?, due(project)?, due(project)?];
    put_all(store, &samples).await?;
    let claimed = store.claim_notices(&project, &NoticeLead::ALL, at(0), at(1000), PageSize::clamped(2)).await?;
    ensure_eq!(claimed.len(), 2, "notices claimed of 3, at most 2");
    let mut leased = 0;
    for sample in &samples {
        leased += usize::from(stored(store, &sample.key()).await?.notice_lease_until.is_some());
    }
    ensure_eq!(leased, 2, "notices leased of 3, at most 2");
    Ok(())
}

pub(super) async fn acknowledge_sets_the_lead_and_ends_the_lease<S>(store: &S) -> Verdict
where
    S: TokenStore + StoreMaintenance,
{
    let project = project()?;
    for lead in NoticeLead::ALL {
        let sample = TokenRecord { notice_lead: None, ..full(project)? };
        let before = kept(store, &sample).await?;
        let expected = TokenRecord { notice_lead: Some(lead), notice_lease_until: None, ..TokenRecord::clone(&before) };
        let answer = some(store.acknowledge_notice(&before.key(), lead).await?, "acknowledge_notice")?;
        same_but_version(&answer, &expected, "the record that acknowledge_notice returned")?;
        same_but_version(
            &*stored(store, &before.key()).await?,
            &expected,
            "the record stored after acknowledge_notice",
        )?;
    }
    Ok(())
}

pub(super) async fn acknowledge_never_goes_back<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    for lead in [NoticeLead::MONTH, NoticeLead::WEEK] {
        let sample = TokenRecord { notice_lead: Some(NoticeLead::WEEK), ..due(project)? };
        let key = kept(store, &sample).await?.key();
        some(store.acknowledge_notice(&key, lead).await?, "acknowledge_notice")?;
        let found = stored(store, &key).await?.notice_lead;
        ensure_eq!(found, Some(NoticeLead::WEEK), "the lead after an acknowledgement of {lead}, which is not shorter");
    }
    Ok(())
}

pub(super) async fn acknowledge_leaves_the_version<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let before = kept(store, &due(project()?)?).await?;
    let answer = store.acknowledge_notice(&before.key(), NoticeLead::DAY).await?;
    let answer = some(answer, "acknowledge_notice")?;
    ensure_eq!(answer.version, before.version, "the version that acknowledge_notice returned");
    let found = stored(store, &before.key()).await?.version;
    ensure_eq!(found, before.version, "the version after acknowledge_notice");
    Ok(())
}

pub(super) async fn acknowledge_answers_none_for_the_absent<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let key = absent(project()?)?;
    let Ok(answer) = store.acknowledge_notice(&key, NoticeLead::DAY).await else {
        return Err(Broken::new("acknowledge_notice of an absent record: an error, not None"));
    };
    ensure!(answer.is_none(), "acknowledge_notice of an absent record: a record, not None");
    ensure_absent(store, &key, "after acknowledge_notice of an absent record").await
}
