//! The steps that move the tokens from one store to another while services run, and the conditions
//! of each step.
//!
//! A fence makes a store refuse the writes of services. TO is fenced from the first `copy` until
//! `open`. In this time only the tool can write to TO, so all tokens there are copies. FROM is
//! fenced from `finish` on, so that the last copy includes every acknowledged write.
//!
//! FROM and TO never take writes at the same time. Between `finish` and `open`, both are fenced. If
//! TO took writes too early, it could acknowledge the revocation of a token while another service
//! still verifies tokens with FROM and accepts the revoked token.

use std::fmt;

use super::address::Address;
use super::compare::{self, Compared};
use super::copy::{self, Copied};
use super::engine::{self, Purpose};
use super::progress::Progress;
use super::side::{Side, Target};
use super::{Failure, refuse};

/// The refusal of every step but `open` after an interrupted `open`.
const OPENING: &str = "the opening of TO was interrupted, and services may have written to it (run open again)";

/// A move between two stores. It holds the locks of both, so that no other copy can run at the same
/// time, unless it was opened for a dry run.
pub struct Move {
    source: Box<dyn Side>,
    target: Box<dyn Side>,
    progress: Progress,
}

/// The results of [`Move::finish`].
pub struct Finished {
    pub copied: Copied,
    pub compared: Compared,
}

/// The error of `finish` and `verify` if the two stores differ. The text has the whole comparison.
#[derive(Debug)]
pub struct Differ(pub String);

impl fmt::Display for Differ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the two stores differ\n{}", self.0)
    }
}

impl std::error::Error for Differ {}

impl Move {
    /// Connects to both stores, and takes their locks. Creates the tables of TO if they are
    /// missing.
    ///
    /// # Errors
    /// Returns an error if a connection or a query fails, if FROM has unknown columns, if an engine
    /// may lose acknowledged writes, or if another copy holds a lock.
    pub async fn between(from: &Address, to: &Address, progress: Progress) -> Result<Self, Failure> {
        let mut source = engine::side(from, Purpose::Existing).await?;
        let mut target = engine::side(to, Purpose::CopyTo).await?;
        source.take_turn().await?;
        target.take_turn().await?;
        Ok(Self { source, target, progress })
    }

    /// Connects to both stores to compare them, and writes nothing.
    ///
    /// # Errors
    /// Returns an error if a connection or a query fails, or if a store is missing or has unknown
    /// columns.
    pub async fn to_compare(from: &Address, to: &Address, progress: Progress) -> Result<Self, Failure> {
        let source = engine::side(from, Purpose::Existing).await?;
        let target = engine::side(to, Purpose::Existing).await?;
        Ok(Self { source, target, progress })
    }

    /// Connects to both stores for [`plan`](Self::plan), and writes nothing. If TO does not exist
    /// yet or has no tables, an empty store takes its place.
    ///
    /// # Errors
    /// Returns an error if a connection or a query fails, or if FROM has unknown columns.
    pub async fn to_plan(from: &Address, to: &Address, progress: Progress) -> Result<Self, Failure> {
        let source = engine::side(from, Purpose::Existing).await?;
        let target = engine::side(to, Purpose::IfAny).await?;
        Ok(Self { source, target, progress })
    }

    /// Returns whether the tool can make FROM refuse writes.
    pub fn source_has_fence(&self) -> bool {
        self.source.has_fence()
    }

    /// Copies new and changed tokens from FROM to TO. If a token was copied earlier and has been
    /// purged from FROM since then, deletes the token from TO.
    ///
    /// # Errors
    /// Returns an error if TO holds tokens that were not copied from FROM, or if a token there has
    /// a later state than in FROM. Also returns an error if an engine fails.
    pub async fn copy(&mut self) -> Result<Copied, Failure> {
        let source = self.source.id().await?;
        if self.may_copy(Some(&source)).await? {
            self.target.begin(&source).await?;
        }
        self.pass(true).await
    }

    /// Returns what [`copy`](Self::copy) would do now. Writes nothing.
    ///
    /// # Errors
    /// Returns the errors of `copy`.
    pub async fn plan(&mut self) -> Result<Copied, Failure> {
        let source = self.source.known_id().await?;
        self.may_copy(source.as_deref()).await?;
        self.pass(false).await
    }

    /// Checks whether the source with this id may be copied to the target. Returns whether the
    /// target is empty.
    async fn may_copy(&mut self, source: Option<&str>) -> Result<bool, Failure> {
        if !self.target.has_fence() && self.source.imports().await? > 0 {
            return refuse(format!(
                "FROM has imported tokens, which {} cannot hold (choose another engine for TO)",
                self.target.engine()
            ));
        }
        if matches!(self.source.target().await?, Target::Copy { .. } | Target::Opening { .. }) {
            return refuse("FROM is itself a copy that is not open yet (finish and open that move first)");
        }
        match self.target.target().await? {
            Target::Empty => return Ok(true),
            Target::Copy { of, .. } if Some(of.as_str()) == source => {}
            Target::Copy { .. } => return refuse("TO holds a copy of another store than FROM"),
            Target::Opening { .. } => return refuse(OPENING),
            Target::InUse => return refuse("TO is in use: it holds tokens that are not a copy of FROM"),
            Target::Unfenced => {
                let compared = self.compare().await?;
                if compared.extra > 0 && compared.extra == compared.target.tokens {
                    return refuse("TO is in use: it holds tokens that are not a copy of FROM");
                }
                return self.is_not_newer(&compared).map(|()| false);
            }
        }
        // The copy in TO may have changes that FROM lacks, if FROM was restored from a back-up. So
        // this check comes before the first write.
        let compared = self.compare().await?;
        self.is_not_newer(&compared).map(|()| false)
    }

    fn is_not_newer(&self, compared: &Compared) -> Result<(), Failure> {
        if compared.newer > 0 {
            return refuse(format!(
                "TO has a later state of {} tokens than FROM: was FROM restored from a back-up?",
                compared.newer
            ));
        }
        Ok(())
    }

    /// Fences FROM, so that it refuses all further writes. Services can still read FROM.
    ///
    /// # Errors
    /// Returns an error if TO holds no copy of FROM, or if an engine fails. Also returns an error
    /// if the engine of FROM has no fence.
    pub async fn fence(&mut self) -> Result<(), Failure> {
        self.copied_before().await?;
        // The result of an earlier comparison may be outdated.
        self.target.set_equal(false).await?;
        self.source.fence().await
    }

    /// Copies the tokens that changed since the last copy, and checks that FROM and TO are equal.
    /// Call [`fence`](Self::fence) first. If the engine of FROM has no fence, services must not
    /// write instead.
    ///
    /// # Errors
    /// Returns an error if TO holds no copy of FROM, if FROM still takes writes, if FROM and TO
    /// differ after the copy, or if an engine fails.
    pub async fn finish(&mut self) -> Result<Finished, Failure> {
        self.copied_before().await?;
        if self.source.has_fence() && !self.source.is_fenced().await? {
            return refuse("FROM still takes writes (fence it with finish)");
        }
        let copied = self.pass(true).await?;
        let compared = self.compare().await?;
        if !compared.is_equal() {
            return Err(Differ(compared.to_string()).into());
        }
        self.target.set_equal(true).await?;
        Ok(Finished { copied, compared })
    }

    /// Lets services write to TO. Completes an earlier run that was interrupted.
    ///
    /// # Errors
    /// Returns an error if TO holds no fenced copy of FROM, if the last [`finish`](Self::finish)
    /// did not find FROM and TO equal, if FROM is no longer fenced, or if an engine fails.
    pub async fn open(&mut self) -> Result<(), Failure> {
        let source = self.source.id().await?;
        if matches!(self.target.target().await?, Target::Opening { of } if of == source) {
            // The interrupted run has checked the conditions. No other step was possible since.
            return self.target.open_target().await;
        }
        let equal = match self.copied_before().await? {
            Some(equal) => equal,
            None => self.compare().await?.is_equal(),
        };
        if !equal || (self.source.has_fence() && !self.source.is_fenced().await?) {
            return refuse("the move is not finished (run finish)");
        }
        self.target.open_target().await
    }

    /// Lets services write to FROM again.
    ///
    /// # Errors
    /// Returns an error if TO is empty, if TO holds a copy of another store, if services can
    /// already write to TO, or if an engine fails.
    pub async fn reopen(&mut self) -> Result<(), Failure> {
        self.copied_before().await?;
        // The stored result of the comparison is reset before FROM takes writes. So TO cannot be
        // opened while FROM takes writes.
        self.target.set_equal(false).await?;
        self.source.unfence().await
    }

    /// Closes both connections.
    ///
    /// # Errors
    /// Returns an error if an engine fails.
    pub async fn close(self) -> Result<(), Failure> {
        self.source.close().await?;
        self.target.close().await
    }

    /// Returns whether the last [`finish`](Self::finish) found FROM and TO equal, or `None` if the
    /// engine of TO has no record of it.
    ///
    /// # Errors
    /// Returns an error if TO holds no copy of FROM, if services can already write to TO, or if an
    /// engine fails.
    async fn copied_before(&mut self) -> Result<Option<bool>, Failure> {
        let source = self.source.id().await?;
        match self.target.target().await? {
            Target::Copy { of, equal } if of == source => Ok(Some(equal)),
            Target::Unfenced => Ok(None),
            Target::Opening { .. } => refuse(OPENING),
            Target::InUse => refuse("TO is open: services may have written to it"),
            _ => refuse("TO holds no copy of FROM (copy it first)"),
        }
    }

    async fn pass(&mut self, writes: bool) -> Result<Copied, Failure> {
        copy::pass(&mut *self.source, &mut *self.target, writes, &mut self.progress).await
    }

    /// Compares all rows of FROM with all rows of TO.
    ///
    /// # Errors
    /// Returns an error if an engine fails.
    pub async fn compare(&mut self) -> Result<Compared, Failure> {
        compare::compare(&mut *self.source, &mut *self.target, &mut self.progress).await
    }
}
