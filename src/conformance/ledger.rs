//! A load for the test of crashes, and the ledger of what a store acknowledged before it was
//! killed.

use std::collections::{BTreeMap, HashMap};

use super::list::all_of;
use super::sample::{at, id, name, owner, record, revocation, successor};
use super::together::pause;
use super::verdict::{Broken, Report, Verdict, ensure, ensure_eq, same_found};
use crate::rules::change::Change;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::query::ListQuery;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The number of tokens whose owner is revoked in one operation.
const GROUP: usize = 4;

/// The lines that the load writes before an operation.
const BEGIN: &str = "begin";

/// Runs operations on a store without an end, and writes a line before and after each one. The
/// line after an operation says that the store acknowledged it.
///
/// Run this function in a process that the test kills, or whose engine the test kills. `tell`
/// receives one line without a line break. It must hand the line to the test before it returns: for
/// example, write it to the standard output or to a file, and flush. The test gives the lines to a
/// [`CrashLedger`]. Several loads may run at the same time, in one project or in several.
///
/// The operations are inserts, updates, revocations, rotations and revocations of an owner.
///
/// ```no_run
/// # async fn example(
/// #     store: keyfob::MemoryStore,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Write;
///
/// use keyfob::{ProjectId, conformance};
///
/// // In the process that is killed:
/// let tell = |line: &str| {
///     let mut out = std::io::stdout().lock();
///     let told = writeln!(out, "{line}").and_then(|()| out.flush());
///     told.expect("the test reads the output");
/// };
/// conformance::crash_load(&store, ProjectId::new("145")?, tell).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns the error of the first operation that fails. A test that kills the engine, and not the
/// process of the load, expects [`Unavailable`](StoreErrorKind::Unavailable).
pub async fn crash_load<S: TokenStore>(
    store: &S,
    project: ProjectId,
    mut tell: impl FnMut(&str),
) -> Result<(), StoreError> {
    // Loads that start at the same time begin with different operations.
    let first = id('1').map_err(other)?.as_str().bytes().map(usize::from).sum::<usize>();
    for number in first.. {
        let sample = record(project).map_err(other)?;
        let key = sample.key();
        tell(&format!("{BEGIN} inserted {}", key.id));
        let before = store.insert(sample, None, None).await?;
        tell(&format!("inserted {}", key.id));
        match number % 5 {
            0 => {
                tell(&format!("{BEGIN} revoked {}", key.id));
                store.revoke(&key, &revocation("ledger", 1).map_err(other)?).await?;
                tell(&format!("revoked {}", key.id));
            }
            1 => {
                let new = successor(&before).map_err(other)?;
                let line = format!("rotated {} {}", key.id, new.id);
                tell(&format!("{BEGIN} {line}"));
                store.rotate(&key, before.version, new, at(20), None).await?;
                tell(&line);
            }
            2 => {
                tell(&format!("{BEGIN} renamed {}", key.id));
                store.update(&key, before.version, Change::Rename(name("renamed").map_err(other)?)).await?;
                tell(&format!("renamed {}", key.id));
            }
            3 => revoke_group(store, project, &mut tell).await?,
            _ => {}
        }
        // A store that never waits would keep other tasks from running.
        pause().await;
    }
    Ok(())
}

/// Inserts the tokens of a new owner and revokes them in one operation.
async fn revoke_group<S: TokenStore>(
    store: &S,
    project: ProjectId,
    tell: &mut impl FnMut(&str),
) -> Result<(), StoreError> {
    let mut ids = Vec::new();
    let owner = owner(project, id('1').map_err(other)?.as_str()).map_err(other)?;
    for _ in 0..GROUP {
        let sample = TokenRecord { owner: owner.clone(), ..record(project).map_err(other)? };
        let id = sample.id;
        tell(&format!("{BEGIN} inserted {id}"));
        store.insert(sample, None, None).await?;
        tell(&format!("inserted {id}"));
        ids.push(id.to_string());
    }
    let line = format!("group {}", ids.join(" "));
    tell(&format!("{BEGIN} {line}"));
    store.revoke_owner(&project, &owner, &revocation("ledger", 1).map_err(other)?).await?;
    tell(&line);
    Ok(())
}

fn other(broken: Broken) -> StoreError {
    StoreError::with_source(StoreErrorKind::Other, broken.of("crash_load").what)
}

/// What a store acknowledged to [`crash_load`], and what was under way when it was killed.
///
/// After each kill, give it the lines of the killed load, open the store again, and call
/// [`check`](Self::check). A test must also show that it checks enough: see
/// [`acknowledged`](Self::acknowledged) and [`unacknowledged`](Self::unacknowledged).
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::{MemoryStore, ProjectId, conformance::CrashLedger};
///
/// let mut ledger = CrashLedger::new(ProjectId::new("145")?);
/// for line in ["begin inserted 1abcdefghijklmno", "inserted 1abcdefghijklmno"] {
///     ledger.read(line); // a line from the killed process
/// }
/// assert_eq!(ledger.acknowledged("inserted"), 1);
/// // This store lost the token.
/// let report = ledger.check(&MemoryStore::new()).await;
/// assert_eq!(report.failed[0].case, "acknowledged_calls_survive");
/// # Ok(())
/// # }
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct CrashLedger {
    project: ProjectId,
    begun: BTreeMap<String, bool>,
}

impl CrashLedger {
    /// Creates an empty ledger for the load in this project.
    pub fn new(project: ProjectId) -> Self {
        Self { project, begun: BTreeMap::new() }
    }

    /// Reads a line of [`crash_load`]. Ignores any other line, such as the output of a test
    /// harness. Give only complete lines: a kill can cut off the last one.
    pub fn read(&mut self, line: &str) {
        let (line, is_done) = match line.strip_prefix(BEGIN) {
            Some(line) => (line.trim_start(), false),
            None => (line, true),
        };
        if parts(line).is_some() {
            let done = self.begun.entry(line.to_owned()).or_default();
            *done |= is_done;
        }
    }

    /// Returns how many operations of this kind were acknowledged: `inserted`, `renamed`,
    /// `revoked`, `rotated` or `group`, the revocation of an owner.
    pub fn acknowledged(&self, kind: &str) -> usize {
        self.begun.iter().filter(|(line, done)| **done && line.split(' ').next() == Some(kind)).count()
    }

    /// Returns how many operations began but were not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.begun.values().filter(|done| !**done).count()
    }

    /// Returns the ids of the tokens whose insert began but was not acknowledged. If some of them
    /// exist after a kill, the test has killed the engine between an operation and its
    /// acknowledgement.
    pub fn unacknowledged_inserts(&self) -> impl Iterator<Item = TokenId> {
        let lines = self.begun.iter().filter(|(_, done)| !**done);
        lines.filter_map(|(line, _)| parts(line)).filter(|(kind, _)| *kind == "inserted").flat_map(|(_, ids)| ids)
    }

    /// Checks the records of the project after the engine was started again.
    ///
    /// - `acknowledged_calls_survive`: the store holds the effect of each acknowledged operation.
    /// - `unacknowledged_calls_are_whole`: each operation that was not acknowledged took effect as
    ///   a whole or not at all. The revocation of an owner may revoke a part of the tokens.
    /// - `reads_agree`: `find` returns each record as the list does, and the project contains no
    ///   record of which the ledger does not know.
    ///
    /// The project must contain only the records of the load.
    pub async fn check<S: TokenStore>(&self, store: &S) -> Report {
        let mut report = Report::default();
        let rows = match self.rows(store).await {
            Ok(rows) => rows,
            Err(broken) => {
                report.add("reads_agree", Err(broken.of("reads_agree")));
                return report;
            }
        };
        let mut add = |case, verdict: Verdict| report.add(case, verdict.map_err(|broken| broken.of(case)));
        add("acknowledged_calls_survive", self.survive(&rows));
        add("unacknowledged_calls_are_whole", self.are_whole(&rows));
        add("reads_agree", self.agree(store, &rows).await);
        report
    }

    /// Reads all records of the project.
    async fn rows<S: TokenStore>(&self, store: &S) -> Result<Rows, Broken> {
        let (mut rows, mut query) = (Rows::new(), all_of(self.project));
        loop {
            let page = store.list(&query).await?;
            rows.extend(page.items.iter().map(|record| (record.id, TokenRecord::clone(record))));
            if page.next.is_none() {
                return Ok(rows);
            }
            query = ListQuery { after: page.next, ..query };
        }
    }

    fn survive(&self, rows: &Rows) -> Verdict {
        for (line, _) in self.begun.iter().filter(|(_, done)| **done) {
            let Some((kind, ids)) = parts(line) else { continue };
            let mut found = Vec::new();
            for id in &ids {
                let Some(row) = rows.get(id) else {
                    return Err(Broken::new(format!("{line}: expected the record of {id}, but got None")));
                };
                found.push(row);
            }
            let is_there = match kind {
                "inserted" => true,
                "renamed" => found[0].name.as_str() == "renamed",
                "rotated" => found[0].rotated_to == Some(ids[1]) && found[1].rotated_from == Some(ids[0]),
                _ => found.iter().all(|row| row.revoked.is_some()),
            };
            ensure!(is_there, "{line}: expected the effect of this operation, but the record does not have it");
        }
        Ok(())
    }

    fn are_whole(&self, rows: &Rows) -> Verdict {
        let expected = revocation("ledger", 1)?;
        for row in rows.values() {
            let id = row.id;
            if let Some(revoked) = &row.revoked {
                ensure!(*revoked == expected, "{id}: expected the revocation {expected:?}, but got {revoked:?}");
            }
            if let Some(new) = row.rotated_to {
                let back = rows.get(&new).and_then(|new| new.rotated_from);
                ensure_eq!(back, Some(id), "the link from the successor of {id}");
                ensure_eq!(row.grace_until, Some(at(20)), "the end of grace of {id}, which has a successor");
            }
            if let Some(old) = row.rotated_from {
                let link = rows.get(&old).and_then(|old| old.rotated_to);
                ensure_eq!(link, Some(id), "the link from the predecessor of {id}");
            }
            let changes = [row.revoked.is_some(), row.rotated_to.is_some(), row.name.as_str() == "renamed"];
            let version = 1 + changes.iter().filter(|changed| **changed).count() as u64;
            ensure_eq!(row.version, version, "the version of {id} after the changes {changes:?}");
        }
        Ok(())
    }

    async fn agree<S: TokenStore>(&self, store: &S, rows: &Rows) -> Verdict {
        let mut known: Vec<TokenId> =
            self.begun.keys().filter_map(|line| parts(line)).flat_map(|(_, ids)| ids).collect();
        known.sort();
        known.dedup();
        for id in &known {
            let found = store.find(&TokenKey { project: self.project, id: *id }).await?;
            same_found(found.as_deref(), rows.get(id), &format!("find of {id}, compared with the list"))?;
        }
        let unknown = rows.keys().find(|id| known.binary_search(id).is_err());
        ensure!(unknown.is_none(), "expected only the records of the ledger, but got another one: {unknown:?}");
        Ok(())
    }
}

type Rows = HashMap<TokenId, TokenRecord>;

/// Returns the kind of the operation of a line, and the ids in it. Returns `None` if the line is
/// not one of a load.
fn parts(line: &str) -> Option<(&str, Vec<TokenId>)> {
    let (kind, ids) = line.split_once(' ')?;
    let ids: Vec<TokenId> = ids.split(' ').map(TokenId::new).collect::<Result<_, _>>().ok()?;
    let count = match kind {
        "inserted" | "renamed" | "revoked" => 1,
        "rotated" => 2,
        "group" => GROUP,
        _ => return None,
    };
    (ids.len() == count).then_some((kind, ids))
}
