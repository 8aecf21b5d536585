//! The steps of a verification. If the store holds the records in memory, and no owners hook has to
//! wait, all steps run synchronously: an await between them would copy their results from one state
//! of a future to the next, which takes as long as the HMAC.

use core::time::Duration;

use super::emit::Shown;
use super::found::{Found, Sought};
use super::owners::ErasedOwners;
use super::service::Tokens;
use crate::rules::access::{Access, ProjectRequirement};
use crate::rules::check::Verified;
use crate::rules::outside::LaterUses;
use crate::rules::owner::OwnerState;
use crate::rules::proof::{Live, Proven, prove_token};
use crate::rules::record::TokenRecord;
use crate::rules::verify_error::VerifyError;
use crate::store::contract::{ChainResult, TokenStore};
use crate::words::ids::TokenKey;
use crate::words::presented::PresentedToken;
use crate::words::rejection::{Refused, Rejection};
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::timestamp::Timestamp;

type Outcome<P> = Result<Verified<P>, VerifyError>;

/// How far a verification got without waiting.
pub(crate) enum Step<P> {
    /// The verification is complete. Its event is emitted.
    Done(Outcome<P>),
    /// The verification has to wait.
    Waits(Unfinished),
}

/// What a verification has to wait for. No event is emitted yet.
pub(crate) enum Unfinished {
    /// The store must be asked for the records of this token.
    Ask(Sought),
    /// The text is not a keyfob token for this reason. It may be an imported token.
    Import(Rejection),
    /// The owners hook must be asked about the owner of this token. The duration is the age of the
    /// records.
    Owner(Live, Duration),
}

impl<S: TokenStore> Tokens<S> {
    /// Verifies a text as far as possible without waiting.
    // Not inlined, so that the future of `verify` stays small enough to be inlined in its caller.
    #[inline(never)]
    pub(crate) fn begin<P>(&self, text: &[u8], access: &Access<'_, P>) -> Step<P>
    where
        P: ProjectRequirement,
    {
        let token = match PresentedToken::parse_bytes(text, &self.keyring) {
            Ok(token) => token,
            Err(refused) if self.may_be_imported(text, *refused) => {
                return Step::Waits(Unfinished::Import(*refused));
            }
            Err(refused) => return Step::Done(self.refuse((*refused).into(), Shown::Presented)),
        };
        let key = token.key();
        let Some(ChainResult { chain, age }) = self.store.find_held(&key) else {
            return Step::Waits(Unfinished::Ask(Sought::of(&token)));
        };
        match self.judge(prove_token(&token, chain), || Some(key), age, access, Shown::Presented) {
            Ok(outcome) => Step::Done(outcome),
            Err(live) => Step::Waits(Unfinished::Owner(live, age)),
        }
    }

    /// Completes a verification that has to wait. `text` is the presented text. Only
    /// [`Unfinished::Import`] needs it.
    pub(crate) async fn finish<P>(&self, unfinished: Unfinished, text: &[u8], access: &Access<'_, P>) -> Outcome<P>
    where
        P: ProjectRequirement,
    {
        let found = match unfinished {
            Unfinished::Ask(sought) => self.ask(sought).await,
            Unfinished::Import(rejection) => self.found_imported(text, rejection).await,
            Unfinished::Owner(live, age) => return self.judge_owner(live, age, access, Shown::Presented).await,
        };
        match found {
            Ok(found) => {
                let (key, age) = (found.key, found.age);
                self.judged(found.prove(), key, age, access, Shown::Presented).await
            }
            Err(error) => self.refuse(error, Shown::Presented),
        }
    }

    /// Asks the store for the records of a token.
    async fn ask(&self, sought: Sought) -> Result<Found, VerifyError> {
        match self.store.find_recent_chain(sought.key()).await {
            Ok(found) => Ok(Found::of(sought, found)),
            Err(error) => Err(VerifyError::new(error, Some(*sought.key()), None)),
        }
    }

    /// Judges the records of a token, and waits for the owners hook if necessary.
    pub(super) async fn judged<P: ProjectRequirement>(
        &self,
        proven: Result<Proven, Refused>,
        key: Option<TokenKey>,
        age: Duration,
        access: &Access<'_, P>,
        shown: Shown,
    ) -> Outcome<P> {
        match self.judge(proven, || key, age, access, shown) {
            Ok(outcome) => outcome,
            Err(live) => self.judge_owner(live, age, access, shown).await,
        }
    }

    /// Continues a verification after the check of the secret. First checks status, policy and
    /// issuers at the current time, then the owner if the owners hook knows its state, then
    /// project, address and scopes. The clock is read once, after the store has returned:
    /// otherwise a token that ended during a slow call would be accepted. `key` is a function, so
    /// that only a rejection copies the key.
    ///
    /// # Errors
    /// Returns the token, before the check of its owner, if the caller has to wait for the hook.
    #[inline]
    fn judge<P: ProjectRequirement>(
        &self,
        proven: Result<Proven, Refused>,
        key: impl Fn() -> Option<TokenKey>,
        age: Duration,
        access: &Access<'_, P>,
        shown: Shown,
    ) -> Result<Outcome<P>, Live> {
        let refused = |refused: Refused| Ok(self.refuse(VerifyError::new(*refused, key(), None), shown));
        let proven = match proven {
            Ok(proven) => proven,
            Err(rejection) => return refused(rejection),
        };
        let now = self.clock.now();
        let live = match proven.live(&self.applied, now, |record| self.later_uses(record, age)) {
            Ok(live) => live,
            Err(ended) => {
                return Ok(self.refuse(VerifyError::new(*ended.rejection, key(), ended.successor), shown));
            }
        };
        let mut owner = OwnerState::Active;
        if let Some(owners) = &self.owners {
            match owners.known(&live.record().owner, &live.record().project) {
                Some(known) => owner = known,
                None => return Err(live),
            }
        }
        match live.permit(owner, access, &self.applied, age) {
            Ok(verified) => {
                self.accept(&verified, access, now);
                Ok(Ok(verified))
            }
            Err(rejection) => refused(rejection),
        }
    }

    /// Waits for the state of the owner, and completes the verification. Checks status, policy and
    /// issuers again, because the token may have ended during the wait.
    async fn judge_owner<P: ProjectRequirement>(
        &self,
        live: Live,
        age: Duration,
        access: &Access<'_, P>,
        shown: Shown,
    ) -> Outcome<P> {
        let key = Some(live.record().key());
        // `judge` has already called `known`, so only `state` is left.
        let owners = self.owners.as_deref().expect("only a hook lets a verification wait for an owner");
        let owner = match look_up(owners, live.record()).await {
            Ok(owner) => owner,
            Err(error) => return self.refuse(VerifyError::new(error, key, None), shown),
        };
        let now = self.clock.now();
        let permitted = match live.still(&self.applied, now, |record| self.later_uses(record, age)) {
            Ok(live) => live.permit(owner, access, &self.applied, age).map_err(|refused| (*refused, None)),
            Err(ended) => Err((*ended.rejection, ended.successor)),
        };
        match permitted {
            Ok(verified) => {
                self.accept(&verified, access, now);
                Ok(verified)
            }
            Err((rejection, successor)) => self.refuse(VerifyError::new(rejection, key, successor), shown),
        }
    }

    /// Notes the use of a verified token, and emits its event.
    #[inline]
    fn accept<P: ProjectRequirement>(&self, verified: &Verified<P>, access: &Access<'_, P>, now: Timestamp) {
        if let Some(usage) = &self.usage {
            usage.note(verified.key(), verified.last_used_at(), now, || access.used_from());
        }
        if let Some(events) = &self.events {
            let issuers = || verified.acting().issuers().map(|issuer| issuer.id).collect();
            events.verified(verified.key(), issuers, now);
        }
    }

    /// Emits the event of a failed verification.
    #[cold]
    pub(super) fn refuse<P>(&self, error: VerifyError, shown: Shown) -> Outcome<P> {
        if let Some(events) = &self.events {
            let now = self.clock.now();
            match error.rejection() {
                Some(rejection) => events.failed(rejection, error.key(), error.successor(), shown, now),
                None => events.unavailable(error.key(), now),
            }
        }
        Err(error)
    }

    /// Returns the uses of a token that its record may not contain yet. `age` is the age of the
    /// record.
    pub(super) fn later_uses(&self, record: &TokenRecord, age: Duration) -> LaterUses {
        let Some(usage) = &self.usage else { return LaterUses::default() };
        LaterUses { noted: usage.last_noted(&record.key()), lag: usage.lag().saturating_add(age) }
    }

    pub(super) async fn owner_state(&self, record: &TokenRecord) -> Result<OwnerState, StoreError> {
        let Some(owners) = &self.owners else { return Ok(OwnerState::Active) };
        if let Some(known) = owners.known(&record.owner, &record.project) {
            return Ok(known);
        }
        look_up(&**owners, record).await
    }
}

/// Looks up the state of an owner with the owners hook, which may wait.
async fn look_up(owners: &dyn ErasedOwners, record: &TokenRecord) -> Result<OwnerState, StoreError> {
    let state = owners.state(&record.owner, &record.project).await;
    state.map_err(|error| StoreError::with_source(StoreErrorKind::Unavailable, error))
}
