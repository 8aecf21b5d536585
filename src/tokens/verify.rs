//! Verifying and explaining a presented token, and checking again one that was verified.

use core::time::Duration;
use std::sync::Arc;

use super::emit::Shown;
use super::service::Tokens;
use super::verify_error::{VerifyError, Why};
use crate::rules::access::{Access, ProjectRequirement};
use crate::rules::check::Verified;
use crate::rules::error::Error;
use crate::rules::explain::Explanation;
use crate::rules::outside::LaterUses;
use crate::rules::owner::OwnerState;
use crate::rules::proof::{Proven, prove};
use crate::rules::record::TokenRecord;
use crate::store::contract::{ReadResult, TokenStore};
use crate::words::digest::Digest;
use crate::words::ids::TokenKey;
use crate::words::presented::PresentedToken;
use crate::words::rejection::Rejection;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// What the store has for a presented token.
struct Found<'a> {
    /// Its parts, unless it is of an earlier system.
    token: Option<PresentedToken<'a>>,
    digest: Digest,
    recent: ReadResult,
}

/// How a record is asked for.
#[derive(Clone, Copy)]
enum Ask {
    /// As a verification may.
    Recent,
    Now,
}

impl Found<'_> {
    fn key(&self) -> Option<TokenKey> {
        let imported = || self.recent.record.as_ref().map(|record| record.key());
        self.token.as_ref().map(PresentedToken::key).or_else(imported)
    }

    fn prove(self) -> Result<Proven, Rejection> {
        let Self { token, digest, recent } = self;
        // An imported one is found by its secret, and its text names nothing.
        let names = |record: &TokenRecord| {
            token.is_none_or(|token| token.text().names(record.prefix, &record.project, &record.id))
        };
        prove(&digest, recent.record, names)
    }
}

impl<S: TokenStore> Tokens<S> {
    /// Verifies a presented token for an access: at most one store call, and none for a malformed one or, with a pepper, a
    /// forged one. It writes nothing. [Imported](Self::with_imports) tokens take a call for each key of the ring at most.
    ///
    /// # Errors
    /// [`VerifyError`], which tells the outside no more than it may know, and holds the reason for your logs.
    pub async fn verify<T, P>(&self, token: &T, access: &Access<'_, P>) -> Result<Verified<P>, VerifyError>
    where
        T: AsRef<[u8]> + Sync + ?Sized,
        P: ProjectRequirement,
    {
        let outcome = match self.found(token.as_ref(), Ask::Recent).await {
            Ok(found) => {
                let (key, age) = (found.key(), found.recent.age);
                self.judged(key, found.prove(), age, access).await
            }
            Err(error) => Err(error),
        };
        self.note(&outcome, Shown::Presented);
        outcome
    }

    /// Verifies once more what was verified before, for what outlives a request: a WebSocket, a stream of events, a long
    /// download. One store call; it needs no token, so that nothing secret is kept for as long as the connection is.
    ///
    /// Everything that may have changed is judged anew, as [`verify`](Self::verify) does: status, policy, owner, project,
    /// address, scopes. What does not hold any more ends the connection; what was widened is in the new proof. How often
    /// it is asked bounds how long a revoked token's connection lives.
    ///
    /// It counts as a use: the connection works by the token, which is therefore neither unused nor ready to be ended
    /// behind a rotation. It is told as a verification is, except that a rotated token whose grace is over is
    /// [`Event::Failed`](crate::events::Event::Failed) and not `Reused`: nobody has presented it.
    ///
    /// # Errors
    /// [`VerifyError`], as of `verify`. Where the store has no record any more, or one of another secret:
    /// [`Rejection::Unknown`].
    ///
    /// ```
    /// use keyfob::{Access, Clock, TokenStore, Tokens, Verified, VerifyError};
    ///
    /// /// Once a minute, for as long as the connection is open.
    /// async fn may_stay<S: TokenStore>(
    ///     tokens: &Tokens<S>,
    ///     caller: &mut Verified,
    /// ) -> Result<(), VerifyError> {
    ///     let project = *caller.project();
    ///     *caller = tokens.recheck(caller, &Access::to(&project, &[])).await?;
    ///     Ok(())
    /// }
    /// ```
    pub async fn recheck<P: ProjectRequirement>(
        &self,
        verified: &Verified<P>,
        access: &Access<'_, P>,
    ) -> Result<Verified<P>, VerifyError> {
        let (key, digest) = (verified.key(), &verified.record().digest);
        let outcome = match self.store.find_recent(&key).await {
            Ok(ReadResult { record, age }) => {
                // An id that was purged and given again is not the token that was verified.
                let same = record.filter(|record| record.digest.ct_eq(digest));
                self.judged(Some(key), prove(digest, same, |_| true), age, access).await
            }
            Err(error) => Err(VerifyError { why: error.into(), key: Some(key), successor: None }),
        };
        self.note(&outcome, Shown::Before);
        outcome
    }

    /// Judges what the store has, now.
    async fn judged<P: ProjectRequirement>(
        &self,
        key: Option<TokenKey>,
        proven: Result<Proven, Rejection>,
        age: Duration,
        access: &Access<'_, P>,
    ) -> Result<Verified<P>, VerifyError> {
        let failed = |why: Why| VerifyError { why, key, successor: None };
        let proven = proven.map_err(|rejection| failed(rejection.into()))?;
        let successor = proven.record().rotated_to;
        let ended = |rejection: Rejection| VerifyError { successor, ..failed(rejection.into()) };
        // The clock is read behind whatever may take its time: that must not make an ended token live.
        let later = |record: &TokenRecord| self.later_uses(record, age);
        let mut live = proven.live(&self.applied, self.clock.now(), later).map_err(ended)?;
        let mut owner = OwnerState::Active;
        if let Some(owners) = &self.owners {
            let record = live.record();
            match owners.known(&record.owner, &record.project) {
                Some(known) => owner = known,
                None => {
                    owner = self.owner_state(record).await.map_err(|error| failed(error.into()))?;
                    live = live.still(&self.applied, self.clock.now(), later).map_err(ended)?;
                }
            }
        }
        live.permit(owner, access, age).map_err(|rejection| failed(rejection.into()))
    }

    /// What is known of a token's uses beyond its record, which was so old when it was answered.
    fn later_uses(&self, record: &TokenRecord, age: Duration) -> LaterUses {
        let Some(usage) = &self.usage else { return LaterUses::default() };
        LaterUses { noted: usage.last_noted(&record.key()), lag: usage.lag().saturating_add(age) }
    }

    /// Notes the use, and tells of the outcome.
    fn note<P>(&self, outcome: &Result<Verified<P>, VerifyError>, shown: Shown) {
        if let Some(usage) = &self.usage
            && let Ok(verified) = outcome
        {
            usage.note(verified.key(), verified.last_used_at(), self.clock.now());
        }
        if let Some(events) = &self.events {
            let now = self.clock.now();
            match outcome {
                Ok(verified) => events.verified(verified.key(), now),
                Err(VerifyError { why: Why::Rejected(rejection), key, successor }) => {
                    events.failed(*rejection, *key, *successor, shown, now);
                }
                Err(VerifyError { why: Why::Unavailable(_), key, .. }) => events.unavailable(*key, now),
            }
        }
    }

    async fn found<'t>(&self, text: &'t [u8], ask: Ask) -> Result<Found<'t>, VerifyError> {
        let token = match PresentedToken::parse(text, &self.keyring) {
            Ok(token) => token,
            Err(rejection) => return self.found_imported(text, rejection).await,
        };
        let key = token.key();
        let recent = match ask {
            Ask::Recent => self.store.find_recent(&key).await,
            Ask::Now => self.store.find(&key).await.map(ReadResult::now),
        };
        let recent = recent.map_err(|error| VerifyError { why: error.into(), key: Some(key), successor: None })?;
        Ok(Found { digest: *token.digest(), token: Some(token), recent })
    }

    /// A text that is none of ours may be one of an earlier system.
    async fn found_imported<'t>(&self, text: &[u8], rejection: Rejection) -> Result<Found<'t>, VerifyError> {
        // Whose checksum is right, is ours: forged ones reach no store.
        let ours = matches!(rejection, Rejection::Unkeyed | Rejection::UnknownKey | Rejection::Tag);
        let Some(imports) = self.imports.as_ref().filter(|_| !ours) else { return Err(rejection.into()) };
        match imports.find(&self.store, &self.keyring, text).await {
            Ok(Some((digest, record))) => Ok(Found { token: None, digest, recent: ReadResult::now(record) }),
            Ok(None) => Err(rejection.into()),
            Err(error) => Err(VerifyError { why: error.into(), key: None, successor: None }),
        }
    }

    /// The record of a presented token whose secret is right, dead or alive.
    pub(super) async fn held(&self, text: &[u8]) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        match self.found(text, Ask::Now).await {
            Ok(found) => Ok(found.prove().ok().map(|proven| Arc::clone(proven.record()))),
            Err(VerifyError { why: Why::Rejected(_), .. }) => Ok(None),
            Err(VerifyError { why: Why::Unavailable(error), .. }) => Err(error),
        }
    }

    pub(super) async fn owner_state(&self, record: &TokenRecord) -> Result<OwnerState, StoreError> {
        let Some(owners) = &self.owners else { return Ok(OwnerState::Active) };
        if let Some(known) = owners.known(&record.owner, &record.project) {
            return Ok(known);
        }
        owners
            .state(&record.owner, &record.project)
            .await
            .map_err(|error| StoreError::with_source(StoreErrorKind::Unavailable, error))
    }

    /// Explains a presented token to support staff: which checks it fails, and what its record says. Counts as no use.
    ///
    /// # Errors
    /// Returns [`Error`] if the store, or the question for the owner, fails.
    ///
    /// ```
    /// # use keyfob::{Access, Actor, Clock, Keyring, MemoryStore, Name, NewToken, OwnerId, Prefix, ProjectId, Rejection, SystemClock, Tokens, clock::FixedClock, record::RevocationReason};
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = FixedClock::new(SystemClock.now());
    /// # let tokens = Tokens::new(Keyring::unkeyed(Prefix::new("acme_pat")?), MemoryStore::new()).with_clock(clock.clone());
    /// # let (project, other) = (ProjectId::new("145")?, ProjectId::new("146")?);
    /// # let issued = tokens.issue(&Actor::new("ada")?, NewToken::new(project, OwnerId::new("ada")?, Name::new("CI")?)).await?;
    /// # let text = issued.token.expose_secret();
    /// clock.advance(core::time::Duration::from_secs(31 * 24 * 60 * 60));
    /// let explanation = tokens.explain(text, &Access::to(&other, &[])).await?;
    /// assert_eq!(explanation.fails, [Rejection::Expired, Rejection::Project]);
    /// assert!(explanation.to_string().ends_with("\"CI\" of ada: fails expired, project"));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn explain<T, P>(&self, token: &T, access: &Access<'_, P>) -> Result<Explanation, Error>
    where
        T: AsRef<[u8]> + Sync + ?Sized,
        P: ProjectRequirement,
    {
        let found = match self.found(token.as_ref(), Ask::Now).await {
            Ok(found) => found,
            Err(VerifyError { why: Why::Rejected(rejection), .. }) => return Ok(Explanation::of_text(rejection)),
            Err(VerifyError { why: Why::Unavailable(error), .. }) => return Err(error.into()),
        };
        let proven = match found.prove() {
            Ok(proven) => proven,
            Err(rejection) => return Ok(Explanation::of_text(rejection)),
        };
        let owner = self.owner_state(proven.record()).await?;
        let later = |record: &TokenRecord| self.later_uses(record, Duration::ZERO);
        Ok(Explanation::of(&proven, owner, access, &self.applied, self.clock.now(), later))
    }
}
