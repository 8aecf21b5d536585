//! The test cases for `projects` with work, and for `scan`.

use core::time::Duration;

use super::issued::bound;
use super::projects::walk;
use super::sample::{DAY, at, disabled, id, project, put, put_all, record, revocation, sibling};
use super::verdict::{Broken, Verdict, ensure, ensure_eq};
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsQuery, ProjectsWith, StoreMaintenance};
use crate::store::query::PageSize;
use crate::words::ids::{KeyNumber, ProjectId, TokenKey};

const MS: Duration = Duration::from_millis(1);

/// The projects of a case. Their ids differ only in the last character, so no other project of a
/// shared database is between them.
struct Places {
    first: ProjectId,
    used: Vec<ProjectId>,
}

impl Places {
    fn new() -> Result<Self, Broken> {
        Ok(Self { first: project()?, used: Vec::new() })
    }

    /// Returns the next project.
    fn next(&mut self) -> Result<ProjectId, Broken> {
        let last = "123456789abcdefghijklmnopqrstuvwxyz".chars().nth(self.used.len());
        let next = sibling(self.first, last.expect("a case has at most 35 projects"))?;
        self.used.push(next);
        Ok(next)
    }

    /// Checks that the projects with this work include all projects of the case.
    async fn are_named<S: StoreMaintenance>(&self, store: &S, work: ProjectsWith) -> Verdict {
        let after = Some(sibling(self.first, '0')?);
        let last = *self.used.last().expect("each case has a project");
        for most in [1, 2, 100] {
            let with = Some(work.clone());
            let query = ProjectsQuery { with, after, most: PageSize::clamped(most), ..ProjectsQuery::default() };
            let named = walk(store, query, last).await?;
            for (at, project) in self.used.iter().enumerate() {
                let missing = format!("projects with {work:?}, {most} at a time: number {at} of the case is missing");
                ensure!(named.contains(project), "{missing}");
            }
        }
        Ok(())
    }
}

pub(super) async fn projects_with_ended_tokens_are_named<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let mut places = Places::new()?;
    let (early, late) = (Some(at(-1)), Some(at(1000)));
    for (revoked, grace_until, confirm_by, expires_at) in [
        (early, None, None, None),
        (None, early, None, None),
        (None, None, early, None),
        (None, None, None, early),
        (early, late, late, late),
        (late, early, late, late),
        (late, late, early, late),
        (late, late, late, early),
    ] {
        let revoked = match revoked {
            Some(time) => Some(Revocation { at: time, ..revocation("ada", 0)? }),
            None => None,
        };
        let sample = record(places.next()?)?;
        put(store, &TokenRecord { revoked, grace_until, confirm_by, expires_at, ..sample }).await?;
    }
    places.are_named(store, ProjectsWith::EndedBefore(at(0))).await
}

pub(super) async fn projects_with_due_notices_are_named<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    // Neither schedule contains the other.
    due_notices_are_named(store, &[30, 7, 1]).await?;
    due_notices_are_named(store, &[3, 60, 7]).await
}

async fn due_notices_are_named<S: TokenStore + StoreMaintenance>(store: &S, schedule: &[u16]) -> Verdict {
    let leads = schedule.iter().map(|days| NoticeLead::from_days(*days)).collect::<Result<Vec<_>, _>>()?;
    let mut places = Places::new()?;
    let mut samples = Vec::new();
    for lead in &leads {
        // The notice begins exactly now.
        let expires_at = Some(at(0).saturating_add(Duration::from_millis(lead.as_millis())));
        // These leads are of both schedules, so an earlier notice may be from another schedule.
        for sent in [None, Some(60), Some(30), Some(7), Some(3)] {
            let notice_lead = sent.map(NoticeLead::from_days).transpose()?;
            if notice_lead.is_none_or(|sent| sent > *lead) {
                samples.push(TokenRecord { expires_at, notice_lead, ..record(places.next()?)? });
            }
        }
    }
    let soon = |record: TokenRecord| TokenRecord { expires_at: Some(at(0).saturating_add(MS)), ..record };
    samples.push(soon(record(places.next()?)?));
    samples.push(TokenRecord { notice_lease_until: Some(at(0)), ..soon(record(places.next()?)?) });
    samples.push(TokenRecord { disabled: Some(disabled("root", -1)?), ..soon(record(places.next()?)?) });
    samples.push(TokenRecord { not_before: Some(at(1)), ..soon(record(places.next()?)?) });
    samples.push(TokenRecord { grace_until: Some(at(1)), ..soon(record(places.next()?)?) });
    put_all(store, &samples).await?;
    places.are_named(store, ProjectsWith::DueNotices { leads, now: at(0) }).await
}

pub(super) async fn projects_with_ended_issuers_are_named<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let mut places = Places::new()?;
    let (end, long_ago) = (Some(at(0)), at(0).saturating_sub(TokenRecord::REVOCATION_MARGIN));
    let sample = |project| record(project);
    let issuers = [
        TokenRecord { revoked: Some(revocation("ada", 0)?), ..sample(places.next()?)? },
        TokenRecord { grace_until: end, ..sample(places.next()?)? },
        TokenRecord { confirm_by: end, ..sample(places.next()?)? },
        TokenRecord { expires_at: end, ..sample(places.next()?)? },
    ];
    for issuer in &issuers {
        put_all(store, &[bound(issuer)?, issuer.clone()]).await?;
    }
    // The record of this issuer does not exist.
    put(store, &bound(&sample(places.next()?)?)?).await?;
    // The bound token expired, but it must still be revoked.
    let issuer = TokenRecord { expires_at: end, ..sample(places.next()?)? };
    put_all(store, &[TokenRecord { expires_at: Some(long_ago), ..bound(&issuer)? }, issuer]).await?;
    // The issuer of the first token in the order of the ids is live.
    let project = places.next()?;
    let live = TokenRecord { id: id('0')?, ..sample(project)? };
    let ended = TokenRecord { id: id('z')?, expires_at: end, ..sample(project)? };
    put_all(store, &[bound(&live)?, live, bound(&ended)?, ended]).await?;
    places.are_named(store, ProjectsWith::EndedIssuers(at(0))).await
}

pub(super) async fn projects_with_a_key_are_named<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let mut places = Places::new()?;
    let number = KeyNumber::new(10)?;
    let of =
        |number: KeyNumber, project| Ok::<_, Broken>(TokenRecord { id: id(number.as_char())?, ..record(project)? });
    put(store, &of(number, places.next()?)?).await?;
    put(store, &TokenRecord { revoked: Some(revocation("ada", 0)?), ..of(number, places.next()?)? }).await?;
    // In the order of the ids, tokens of other keys come first and last.
    let project = places.next()?;
    for number in [KeyNumber::new(9)?, number, KeyNumber::new(11)?] {
        put(store, &of(number, project)?).await?;
    }
    places.are_named(store, ProjectsWith::KeyNumber(number)).await
}

/// Inserts records into three projects, and returns their keys in ascending order.
async fn scanned<S: TokenStore>(store: &S) -> Result<(TokenKey, Vec<TokenRecord>), Broken> {
    let mut places = Places::new()?;
    let before = TokenKey { project: sibling(places.first, '0')?, id: id('z')? };
    let mut samples = Vec::new();
    for count in [2, 1, 3] {
        let project = places.next()?;
        for _ in 0..count {
            samples.push(record(project)?);
        }
    }
    samples[1].expires_at = Some(at(-1000));
    samples[3].revoked = Some(revocation("ada", 0)?);
    samples[4].expires_at = Some(at(0).saturating_add(DAY));
    put_all(store, &samples).await?;
    samples.sort_by_key(TokenRecord::key);
    Ok((before, samples))
}

pub(super) async fn scan_returns_all_records_in_order<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let (before, samples) = scanned(store).await?;
    let last = samples[samples.len() - 1].key();
    let expected: Vec<_> = samples.iter().map(TokenRecord::key).collect();
    for most in [1, 2, 100] {
        let (mut after, mut found) = (before, Vec::new());
        while after < last {
            // A store need not support this method.
            let Some(page) = store.scan(Some(after), PageSize::clamped(most)).await? else { return Ok(()) };
            let Some(end) = page.last() else { break };
            ensure!(end.key() > after, "scan, {most} at a time: the last record does not come after {after:?}");
            after = end.key();
            found.extend(page.iter().map(|record| record.key()).take_while(|key| *key <= last));
        }
        ensure_eq!(found, expected, "the keys that scan returns, {most} at a time");
    }
    Ok(())
}

pub(super) async fn scan_returns_no_more_than_asked<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let (before, _) = scanned(store).await?;
    for after in [None, Some(before)] {
        let Some(page) = store.scan(after, PageSize::clamped(2)).await? else { return Ok(()) };
        ensure_eq!(page.len(), 2, "the records that scan returns, at most 2 of 6");
    }
    Ok(())
}
