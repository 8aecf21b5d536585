//! Copies one store to another: writes the rows that differ, and deletes the rows that FROM no
//! longer has.

use std::fmt;

use super::progress::Progress;
use super::row::{Key, Row};
use super::side::{Page, Place, Side, Written};
use super::{Failure, refuse};

/// The numbers of rows that one pass of the copy read, wrote and deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copied {
    /// The number of rows read from FROM.
    pub read: u64,
    /// The number of rows written to TO.
    pub written: u64,
    /// The number of rows deleted from TO. An earlier pass copied these rows, and then they were
    /// purged from FROM.
    pub deleted: u64,
    /// The number of rows that FROM no longer has and that TO keeps, because its engine cannot
    /// delete chosen rows.
    pub kept: u64,
    /// The number of rows of TO that the contract of its store cannot make equal.
    pub unequal: u64,
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, written, deleted, kept, unequal } = self;
        write!(f, "{read} tokens read, {written} written, {deleted} deleted because they are no longer in FROM")?;
        if *kept > 0 {
            write!(f, "; TO keeps {kept} tokens that are no longer in FROM, until its purge")?;
        }
        if *unequal > 0 {
            write!(f, "; {unequal} tokens still differ, because this engine cannot take over every change")?;
        }
        Ok(())
    }
}

/// The rows that a pass writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    All,
    /// The rows that TO has already.
    Changed,
    /// The rows that TO does not have yet.
    New,
}

/// Copies FROM in one pass, page by page. If `writes` is false, only counts what a pass would do.
///
/// During the pass, a service may create a token in a page that the pass has already read. The next
/// pass copies this token.
///
/// # Errors
/// Returns an error if an engine fails, or if TO has a later state of a token than FROM.
pub async fn pass(
    source: &mut dyn Side,
    target: &mut dyn Side,
    writes: bool,
    progress: &mut Progress,
) -> Result<Copied, Failure> {
    let mut copied = Copied::default();
    if target.has_fence() || !writes {
        copied.write_over(Rows::All, source, target, writes, progress).await?;
    } else {
        // A rotation needs the record of the successor, which the contract inserts together with
        // the change of the old token. So the changed rows come before the new rows.
        copied.write_over(Rows::Changed, source, target, true, progress).await?;
        copied.write_over(Rows::New, source, target, true, progress).await?;
    }
    copied.delete_gone(source, target, writes, progress).await?;
    if writes {
        target.analyze().await?;
    }
    Ok(copied)
}

impl Copied {
    async fn write_over(
        &mut self,
        rows: Rows,
        source: &mut dyn Side,
        target: &mut dyn Side,
        writes: bool,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        progress.begin("copy", source.count().await?);
        let (mut read, mut after) = (0, Some(Place::default()));
        while let Some(place) = after {
            let page = source.page(&place).await?;
            after = page.next;
            read += page.rows.len() as u64;
            let keys: Vec<Key> = page.rows.iter().map(Row::key).collect();
            let mut there = target.rows(&keys).await?;
            let mut differing = Vec::new();
            for (key, new) in keys.iter().zip(page.rows) {
                let old = there.remove(key);
                let wanted = match rows {
                    Rows::All => true,
                    Rows::Changed => old.is_some(),
                    Rows::New => old.is_none(),
                };
                if !wanted || old.as_ref() == Some(&new) {
                    continue;
                }
                if old.as_ref().is_some_and(|old| old.age() > new.age()) {
                    return refuse(format!("TO has a later state of the token {key} than FROM"));
                }
                differing.push(Written { new, old, successor: None });
            }
            // The second of two passes sees the rows again that the first could not make equal.
            self.written += differing.len() as u64;
            if writes && !differing.is_empty() {
                if !target.has_fence() {
                    add_successors(source, &mut differing).await?;
                }
                self.unequal += target.write(differing).await?;
            }
            progress.set(read);
        }
        progress.end();
        self.read = read;
        Ok(())
    }

    /// Deletes the rows of the target that the source does not have.
    async fn delete_gone(
        &mut self,
        source: &mut dyn Side,
        target: &mut dyn Side,
        writes: bool,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        progress.begin("search purged tokens", target.count().await?);
        let (mut read, mut after) = (0, Some(Place::default()));
        while let Some(place) = after {
            let Page { rows, next } = target.page(&place).await?;
            after = next;
            read += rows.len() as u64;
            let keys: Vec<Key> = rows.iter().map(Row::key).collect();
            let gone = source.missing(&keys).await?;
            if !gone.is_empty() {
                let deleted = if writes { target.delete(&gone).await? } else { gone.len() as u64 };
                self.deleted += deleted;
                self.kept += gone.len() as u64 - deleted;
            }
            progress.set(read);
        }
        progress.end();
        Ok(())
    }
}

/// Adds the successors of those tokens that were rotated since the last pass.
async fn add_successors(source: &mut dyn Side, rows: &mut [Written]) -> Result<(), Failure> {
    let wants = |row: &Written| row.old.as_ref().filter(|old| old.successor().is_none()).and(row.new.successor());
    let keys: Vec<Key> = rows.iter().filter_map(wants).collect();
    let successors = source.rows(&keys).await?;
    for row in rows {
        row.successor = wants(row).and_then(|key| successors.get(&key).cloned());
    }
    Ok(())
}
