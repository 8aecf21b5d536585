//! The command `notices`: prints the notices of expiry that are due, for a program that sends them.

use std::io::Write;
use std::time::Duration;

use keyfob::notices::{Notice, NoticeId, NoticeSchedule};
use keyfob::store::PageSize;
use keyfob::{Clock, Policy, SystemClock, Timestamp, TokenView, Tokens};

use super::address::Address;
use super::progress::Progress;
use super::{Failure, context, engine, purge, scan};

/// The time for which a claimed notice is reserved. If the command is interrupted, another run
/// prints the notice again after this time.
const LEASE: Duration = Duration::from_secs(600);

/// Claims the due notices, prints each as a line of JSON, and then marks it as sent. In a dry run,
/// prints the lines and changes nothing.
///
/// Each notice is printed at least once. A line that is printed again has the same id.
///
/// # Errors
/// Returns an error if the store or the output fails, or if the days are no schedule.
pub async fn run(
    store: &Address,
    days: Option<Vec<u16>>,
    dry_run: bool,
    mut progress: Progress,
) -> Result<(), Failure> {
    let mut policy = Policy::default();
    if let Some(days) = days {
        policy = policy.with_notices(NoticeSchedule::of_days(days).map_err(|error| context("--days", error))?);
    }
    let mut count = 0;
    if dry_run {
        let now = SystemClock.now();
        let mut failed = None;
        let due = |record: keyfob::TokenRecord| {
            let leased = record.notice_lease_until.is_some_and(|until| until > now);
            if let Some(lead) = record.due_notice(policy.notices().leads(), now).filter(|_| !leased) {
                count += 1;
                failed = print(&NoticeId { key: record.key(), lead }, &record.view(now)).err().or(failed.take());
            }
        };
        scan::records(store, &mut progress, due).await?;
        failed.map_or(Ok(()), Err)?;
        eprintln!("{count} notices are due");
        return Ok(());
    }
    let tokens = Tokens::new(purge::unkeyed()?, engine::store(store).await?).with_policy(policy);
    loop {
        let notices = tokens.claim_notices(LEASE, PageSize::default()).await?;
        for Notice { id, view, .. } in &notices {
            print(id, view)?;
            tokens.acknowledge_notice(id).await?;
            count += 1;
        }
        if notices.is_empty() {
            eprintln!("{count} notices were printed and marked as sent");
            return Ok(());
        }
    }
}

/// Prints a notice as one line of JSON.
fn print(id: &NoticeId, view: &TokenView) -> std::io::Result<()> {
    let line = serde_json::json!({
        "id": id.to_string(),
        "project": view.project.as_str(),
        "owner": view.owner.as_str(),
        "name": view.name.as_str(),
        "expires_at": view.expires_at.as_ref().map(Timestamp::to_string),
    });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
