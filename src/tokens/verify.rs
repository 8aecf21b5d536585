//! The operations that verify a presented token, and verify it again later without its text.

use super::emit::Shown;
use super::judge::Step;
use super::service::Tokens;
use crate::rules::access::{Access, ProjectRequirement};
use crate::rules::chain::Chain;
use crate::rules::check::Verified;
use crate::rules::proof::prove;
use crate::rules::verify_error::VerifyError;
use crate::store::contract::{ChainResult, TokenStore};

impl<S: TokenStore> Tokens<S> {
    /// Verifies a presented token, and checks that the token gives the access that the request
    /// needs. Returns the verified token.
    ///
    /// The checks run in the order of the variants of [`Rejection`](crate::Rejection): text,
    /// checksum and keyed tag, then stored secret, status, policy, issuers, owner, project,
    /// address, scopes. If several checks would fail, the first of them determines the error.
    ///
    /// **Cost.** A verification writes nothing to the store. If the store has the records
    /// [in memory](TokenStore::find_held), the verification waits only for an owners hook that has
    /// to look up the owner. If it does not wait, it allocates memory only for these: the issuers
    /// of a bound token, the first [last use](Self::with_usage) of a token since the last flush,
    /// and the copies that each thread makes of the records of a `MemoryStore` that it reads often.
    /// A verification makes the following store calls:
    ///
    /// - No call for a malformed token, and none for a forged token if the keyring has a pepper.
    /// - Without a cache, one call. It reads the token and the tokens that it is bound to.
    /// - With a cache, one call for each of these tokens that the cache does not hold.
    /// - If the text may be an [imported](Self::with_imports) token, up to one call for each
    ///   declared shape that the text has and each key of the keyring.
    ///
    /// If an imported token has a slow hash, this process computes it at the first use, and then
    /// remembers the text until 10,000 later texts have passed. Each of several parallel first uses
    /// computes the hash, and so does each use of a wrong text with a known public part. If too
    /// many hashes run or wait, the verification fails with
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable). See
    /// [`Imports`](crate::import::Imports).
    ///
    /// # Errors
    /// Returns a [`VerifyError`] if a check fails, or if the store or the [owners
    /// hook](Self::with_owners) fails. You may show the `Display` text of the error to the client.
    /// [`VerifyError::rejection`] returns the exact reason, for your logs.
    pub async fn verify<T, P>(&self, token: &T, access: &Access<'_, P>) -> Result<Verified<P>, VerifyError>
    where
        T: AsRef<[u8]> + Sync + ?Sized,
        P: ProjectRequirement,
    {
        let text = token.as_ref();
        // The box keeps the state of this path out of the future of each verification. The future
        // also holds no step, because it waits only after the step has ended.
        let finishing = match self.begin(text, access) {
            Step::Done(outcome) => return outcome,
            Step::Waits(unfinished) => Box::pin(self.finish(unfinished, text, access)),
        };
        finishing.await
    }

    /// Verifies a token again without its text. Use this method for a connection that stays open
    /// after the request: a WebSocket, an event stream, a long download. The connection need not
    /// keep the secret.
    ///
    /// The call repeats the checks of [`verify`](Self::verify) that can have a new result: status,
    /// policy, issuers, owner, project, address, scopes. If a check fails, end the connection. If
    /// all checks succeed, use the new [`Verified`], which holds the current scopes and limits.
    /// Repeat the call regularly: after a revocation of the token, the connection stays open until
    /// the next call. Without a cache, the call makes one store call.
    ///
    /// A recheck counts as a use of the token. So an open connection keeps its token from being
    /// rejected for disuse, and the owner can see that a rotated token is [still
    /// used](crate::rotation::Predecessor::still_used). A recheck emits the same events as
    /// `verify`, with one exception. For a rotated token after its grace period, it emits
    /// [`Event::Failed`](crate::events::Event::Failed) instead of `Reused`, because no caller has
    /// presented the token.
    ///
    /// # Errors
    /// Returns a [`VerifyError`] under the same conditions as `verify`. The rejection is
    /// [`Rejection::Unknown`](crate::Rejection::Unknown) if the record no longer exists, or if the
    /// id now belongs to a token with another secret.
    ///
    /// ```
    /// use keyfob::{Access, Clock, TokenStore, Tokens, Verified, VerifyError};
    ///
    /// /// Verifies the caller again. Call this once a minute while the connection is open.
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
        // The record may have been purged and its id given to a new token. Then the new record is
        // not the record of this token.
        let same = |chain: Chain| prove(digest, chain.filter(|record| record.digest.ct_eq(digest)), |_| true);
        match self.store.find_recent_chain(&key).await {
            Ok(ChainResult { chain, age }) => self.judged(same(chain), Some(key), age, access, Shown::Before).await,
            Err(error) => self.refuse(VerifyError::new(error, Some(key), None), Shown::Before),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::owner::OwnerState;
    use crate::rules::policy::Policy;
    use crate::rules::record::{RevocationReason, TokenRecord};
    use crate::rules::sample::{DAY, MS, ada, at};
    use crate::store::ready::now;
    use crate::tokens::owners::{Owners, OwnersError};
    use crate::tokens::sample::{World, mistyped, project};
    use crate::tokens::usage::Usage;
    use crate::words::clock::{Clock as _, FixedClock};
    use crate::words::digest::Digest;
    use crate::words::ids::ProjectId;
    use crate::words::keyring::Keyring;
    use crate::words::pepper::Pepper;
    use crate::words::rejection::Rejection;
    use crate::words::store_error::{StoreError, StoreErrorKind};
    use crate::words::text::OwnerId;

    fn verify(world: &World, text: &str) -> Result<Verified, Option<Rejection>> {
        let access = Access::to(&project("145"), &[]);
        now(world.tokens.verify(text, &access)).map_err(|error| error.rejection())
    }

    #[test]
    fn a_token_is_verified_by_its_text() {
        let world = World::new();
        let issued = world.issued("145");
        let text = issued.token.expose_secret();
        let verified = verify(&world, text).unwrap();
        assert_eq!((verified.key(), verified.age()), (issued.record.key(), Duration::ZERO));
        assert_eq!(verify(&world, &mistyped(text)).err(), Some(Some(Rejection::Checksum)));
        // Issued by a service with another pepper.
        let forged =
            World::over(Arc::default(), Keyring::new("acme_pat".parse().unwrap(), Pepper::generate().unwrap()));
        let forged = forged.issued("145");
        assert_eq!(verify(&world, forged.token.expose_secret()).err(), Some(Some(Rejection::Tag)));
        assert_eq!(verify(&World::new(), text).err(), Some(Some(Rejection::Unknown)));
        assert_eq!(verify(&world, "").err(), Some(Some(Rejection::Length)));
        assert_eq!(world.heard(), ["verified", "failed", "failed", "failed"]);
        let counts = world.tokens.counts().unwrap();
        assert_eq!((counts.verified, counts.all_rejected()), (1, 3));
    }

    #[test]
    fn a_token_works_until_it_expires_and_only_in_its_project() {
        let world = World::new();
        let issued = world.issued("145");
        world.advance(30 * DAY - MS);
        assert!(verify(&world, issued.token.expose_secret()).is_ok());
        world.advance(MS);
        assert_eq!(verify(&world, issued.token.expose_secret()).err(), Some(Some(Rejection::Expired)));
        let elsewhere = world.issued("146");
        assert_eq!(verify(&world, elsewhere.token.expose_secret()).err(), Some(Some(Rejection::Project)));
    }

    #[test]
    fn a_store_failure_neither_accepts_nor_rejects_a_token() {
        let world = World::new();
        let issued = world.issued("145");
        let verified = verify(&world, issued.token.expose_secret()).unwrap();
        world.take_down("145");
        let access = Access::to(&project("145"), &[]);
        let failed = now(world.tokens.verify(issued.token.expose_secret(), &access)).unwrap_err();
        assert_eq!((failed.rejection(), failed.key()), (None, Some(issued.record.key())));
        assert_eq!(failed.store_error().map(StoreError::kind), Some(StoreErrorKind::Unavailable));
        assert!(now(world.tokens.recheck(&verified, &access)).unwrap_err().store_error().is_some());
        let explained = now(world.tokens.explain(issued.token.expose_secret(), &access)).unwrap_err();
        assert_eq!(explained.kind(), ErrorKind::Unavailable);
        assert_eq!(world.tokens.counts().unwrap().unavailable, 2);
    }

    #[test]
    fn a_recheck_sees_changes_since_the_verification() {
        let world = World::new();
        let issued = world.issued("145");
        let verified = verify(&world, issued.token.expose_secret()).unwrap();
        let again = || {
            let access = Access::to(&project("145"), &[]);
            now(world.tokens.recheck(&verified, &access)).map_err(|error| error.rejection())
        };
        assert_eq!(again().unwrap().key(), verified.key());
        now(world.tokens.revoke(&ada(), &verified.key(), RevocationReason::default())).unwrap();
        assert_eq!(again().err(), Some(Some(Rejection::Revoked)));
        world.advance(MS);
        now(world.tokens.purge(Duration::ZERO)).unwrap();
        assert_eq!(again().err(), Some(Some(Rejection::Unknown)));
        let other = TokenRecord { digest: Digest::from_bytes([9; 32]), ..TokenRecord::clone(&issued.record) };
        now(world.store.rows.insert(other, None, None)).unwrap();
        assert_eq!(again().err(), Some(Some(Rejection::Unknown)), "another secret under its id");
    }

    /// An owners hook that returns the state of ada without waiting. A look-up of any other owner
    /// takes an hour.
    struct Directory(FixedClock, OwnerState);

    impl Owners for Directory {
        fn known(&self, owner: &OwnerId, _: &ProjectId) -> Option<OwnerState> {
            (owner.as_str() == "ada" && self.1 != OwnerState::OutsideProject).then_some(self.1)
        }

        async fn state(&self, _: &OwnerId, _: &ProjectId) -> Result<OwnerState, OwnersError> {
            self.0.advance(Duration::from_secs(60 * 60));
            Ok(self.1)
        }
    }

    #[test]
    fn a_token_works_only_if_its_owner_is_active() {
        for (state, rejection) in [
            (OwnerState::Active, None),
            (OwnerState::Suspended, Some(Rejection::OwnerSuspended)),
            (OwnerState::OutsideProject, Some(Rejection::OwnerOutsideProject)),
        ] {
            let world = World::new();
            let issued = world.issued("145");
            let clock = world.clock.clone();
            let world = world.with(|tokens| tokens.with_owners(Directory(clock, state)));
            assert_eq!(verify(&world, issued.token.expose_secret()).err().flatten(), rejection);
            let access = Access::to(&project("145"), &[]);
            let explained = now(world.tokens.explain(issued.token.expose_secret(), &access)).unwrap();
            assert_eq!(explained.fails, Vec::from_iter(rejection));
        }
    }

    /// An owners hook that counts the calls of `known`.
    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Owners for Counted {
        fn known(&self, _: &OwnerId, _: &ProjectId) -> Option<OwnerState> {
            self.0.fetch_add(1, Ordering::Relaxed);
            None
        }

        async fn state(&self, _: &OwnerId, _: &ProjectId) -> Result<OwnerState, OwnersError> {
            Ok(OwnerState::Active)
        }
    }

    #[test]
    fn an_owner_that_is_not_known_is_looked_up_without_a_second_question() {
        let (world, counted) = (World::new(), Arc::new(Counted::default()));
        let issued = world.issued("145");
        let world = world.with(|tokens| tokens.with_owners(Arc::clone(&counted)));
        assert!(verify(&world, issued.token.expose_secret()).is_ok());
        assert_eq!(counted.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_token_that_expires_during_the_owner_lookup_is_rejected() {
        let world = World::new();
        let issued = world.issued("145");
        world.advance(30 * DAY - MS);
        let clock = world.clock.clone();
        let world = world.with(|tokens| tokens.with_owners(Directory(clock, OwnerState::OutsideProject)));
        assert_eq!(verify(&world, issued.token.expose_secret()).err(), Some(Some(Rejection::Expired)));
        assert!(world.clock.now() > at(0).saturating_add(30 * DAY));
    }

    #[test]
    fn a_noted_use_protects_a_token_from_the_rule_on_disuse() {
        let policy = Policy::default().with_max_unused(DAY);
        let usage = Usage::default().with_resolution(MS).with_flush_interval(Duration::ZERO);
        let world = World::new().with(|tokens| tokens.with_policy(policy).with_usage(usage));
        let (used, unused) = (world.issued("145"), world.issued("145"));
        world.advance(DAY);
        assert!(verify(&world, used.token.expose_secret()).is_ok());
        world.advance(MS);
        assert!(verify(&world, used.token.expose_secret()).is_ok());
        assert_eq!(verify(&world, unused.token.expose_secret()).err(), Some(Some(Rejection::Policy)));
        assert_eq!(world.stored(&used.record.key()).last_used_at, None, "it is not written yet");
    }
}
