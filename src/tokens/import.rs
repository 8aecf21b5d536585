//! The import of tokens that a service issued before it used keyfob. The holders of these tokens
//! need no new tokens.

use super::events::Event;
use super::import_outcome::ImportOutcome;
use super::service::Tokens;
use crate::rules::adopt::{adopt, adopt_without_pepper};
use crate::rules::error::Error;
use crate::rules::error_kind::ErrorKind;
use crate::rules::import_row::ImportRow;
use crate::rules::import_token::ImportToken;
use crate::rules::imports::Imports;
use crate::rules::policy::Policy;
use crate::rules::record::{Disabled, Revocation};
use crate::store::contract::TokenStore;
use crate::store::import::{ImportRowOutcome, ImportStore};
use crate::store::query::PageSize;
use crate::words::digest::Digest;
use crate::words::ids::TokenKey;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::keyring::Keyring;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

impl<S: TokenStore + ImportStore> Tokens<S> {
    /// Imports up to 1,000 tokens ([`PageSize::MAX`]) of an earlier system. The import needs the
    /// hashes that the earlier system stored, not the texts of the tokens.
    ///
    /// After the import, the service verifies the old texts of the tokens if
    /// [`with_imports`](Tokens::with_imports) declares the shape of these texts. Each token gets a
    /// new id, and can be listed, revoked and purged like any other token. The store keeps a MAC of
    /// the old hash under the minting key, not the hash itself.
    ///
    /// **Input and result.** The result holds one outcome for each entry of `tokens`, in the same
    /// order. If a row of the old table cannot be read, pass an `Err` for it. This row is reported
    /// as [`Rejected`](ImportOutcome::Rejected), and the other rows are imported. A
    /// [salted](ImportToken::salted) token is rejected if [`Imports`] do not declare the function
    /// of its scheme or allow its cost, or if another token has its public part. The imported
    /// records name `actor` as their creator. Import project by project, because database indexes
    /// then work best.
    ///
    /// **Policy.** The import itself checks no policy. The current policy applies each time that an
    /// imported token is presented. Old tokens often never expire. Such a token is rejected unless
    /// the policy [allows it](crate::Policy::with_never_expiring). If a token has no last use, a
    /// rule on disuse counts from the creation of the token.
    ///
    /// **Repeats.** After an interruption, run the whole import again from its start. The final
    /// state is the same. A token that was imported before is reported as
    /// [`Exists`](ImportOutcome::Exists), even if the keyring had another minting key at the
    /// earlier import. If the old table now says that the token is revoked or disabled, the repeat
    /// revokes or disables the imported token. It changes nothing else of an existing token.
    ///
    /// The repeat does not recognize a [salted](ImportToken::salted) token whose stored hash has
    /// changed since the earlier import, for example after a change of the cost of bcrypt. It
    /// rejects the token as a [`Duplicate`](InvalidKind::Duplicate) of a public part, and does not
    /// revoke or disable it. Handle this outcome: if the old table says that such a token is
    /// revoked, find its record among the tokens of its owner, and [`revoke`](Self::revoke) it.
    ///
    /// **Do not import a token again after it was forgotten: it would work again, even if it was
    /// revoked here.** A token is forgotten in two cases: it was purged, or it was imported under a
    /// key that is now [retired](Tokens::retire_key). The import finds existing tokens only with
    /// the keys of its keyring. So each node that imports needs every key under which tokens were
    /// imported. While you promote a new key, these nodes need both the old and the new key.
    ///
    /// # Errors
    /// If the call fails with one of these errors, no token was imported:
    ///
    /// - Returns [`ErrorKind::Unkeyed`] if the keyring has no pepper. See
    ///   [`import_without_pepper`](Self::import_without_pepper).
    /// - Returns [`ErrorKind::Invalid`] if `tokens` has more than 1,000 entries.
    /// - Returns [`ErrorKind::Rng`] if the random number generator fails.
    ///
    /// Returns [`ErrorKind::Unavailable`], [`ErrorKind::Conflict`] or [`ErrorKind::Store`] if the
    /// store fails. After such an error, all, some or none of the tokens may be imported. Run the
    /// import again.
    ///
    /// ```
    /// # use keyfob::{Keyring, MemoryStore, Pepper, Prefix};
    /// use keyfob::{Actor, Invalid, Name, OwnerId, ProjectId, Tokens};
    /// use keyfob::import::{ImportDigest, ImportHash, ImportProgress, ImportToken};
    ///
    /// // A row of the old table: the SHA-256 in hex, user, name and creation time.
    /// fn read([hash, user, name, since]: [&str; 4]) -> Result<ImportToken, Invalid> {
    ///     let digest = ImportDigest::from_text(ImportHash::Sha256, hash)?;
    ///     let (project, owner) = (ProjectId::new("145")?, OwnerId::new(user)?);
    ///     Ok(ImportToken::new(digest, project, owner, Name::new(name)?, since.parse()?))
    /// }
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
    /// # let tokens = Tokens::new(keyring, MemoryStore::new());
    /// # let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    /// # let since = "2020-02-29T00:00:00Z";
    /// # let table = [[hash, "ada", "CI", since], ["", "ada", "CI", since]];
    /// let actor = Actor::new("migration")?;
    /// let mut progress = ImportProgress::default();
    /// for rows in table.chunks(1000) {
    ///     let batch = rows.iter().copied().map(read).collect();
    ///     progress.add(&tokens.import(&actor, batch).await?);
    /// }
    /// assert_eq!((progress.inserted, progress.rejected), (1, 1));
    /// # Ok(())
    /// # }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(example()).unwrap();
    /// ```
    pub async fn import(
        &self,
        actor: &Actor,
        tokens: Vec<Result<ImportToken, Invalid>>,
    ) -> Result<Vec<ImportOutcome>, Error> {
        self.import_by(adopt, actor, tokens).await
    }

    /// Imports tokens as [`import`](Self::import) does, with a keyring that has no pepper. The
    /// store then keeps an HMAC of the old hash under an empty key.
    ///
    /// **What this gives up.** A reader of the store can test guesses of an old token, as with the
    /// old table: only the salt and the cost of the old hash make this harder. A writer to the
    /// store can add a token with a text of their choice. Without a pepper, this is also true of
    /// the tokens that the service issues. Their secrets cannot be guessed, however.
    ///
    /// To change to a first pepper later, [accept unkeyed tokens] for the migration. As long as the
    /// keyring accepts unkeyed tokens, it verifies these tokens too.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Keyed`] if the keyring has a pepper for new tokens. Otherwise returns
    /// the errors of [`import`](Self::import), except `Unkeyed`.
    ///
    /// [accept unkeyed tokens]: crate::keys::KeyringBuilder::accept_unkeyed_for_migration
    pub async fn import_without_pepper(
        &self,
        actor: &Actor,
        tokens: Vec<Result<ImportToken, Invalid>>,
    ) -> Result<Vec<ImportOutcome>, Error> {
        self.import_by(adopt_without_pepper, actor, tokens).await
    }

    async fn import_by(
        &self,
        adopt: Adopt,
        actor: &Actor,
        tokens: Vec<Result<ImportToken, Invalid>>,
    ) -> Result<Vec<ImportOutcome>, Error> {
        if tokens.len() > PageSize::MAX.get() {
            return Err(
                Invalid::new(InvalidField::ImportBatch, InvalidKind::TooMany { max: PageSize::MAX.get() }).into()
            );
        }
        let (now, none) = (self.now(), Imports::new([]));
        let imports = self.imports().unwrap_or(&none);
        let mut rows = Vec::with_capacity(tokens.len());
        let mut asked = Vec::with_capacity(tokens.len());
        let mut outcomes = Vec::with_capacity(tokens.len());
        for token in tokens {
            let adopted = token.map_err(Error::from).and_then(|token| {
                let before = Before::of(&token, self.keyring());
                adopt(self.keyring(), self.policy(), imports, token, actor, now).map(|row| (row, before))
            });
            outcomes.push(match adopted {
                Ok((row, before)) => {
                    // This outcome is replaced below if the store returns `Exists`.
                    let outcome = ImportOutcome::Inserted(row.record.key());
                    rows.push(row);
                    asked.push(before);
                    outcome
                }
                Err(error) => match error.kind() {
                    ErrorKind::Invalid(invalid) => ImportOutcome::Rejected(invalid),
                    _ => return Err(error),
                },
            });
        }
        let answers = self.store().import(rows).await?;
        if answers.len() != asked.len() {
            return Err(StoreError::with_source(StoreErrorKind::Other, "not one outcome for each row").into());
        }
        let inserted = outcomes.iter_mut().filter(|outcome| matches!(outcome, ImportOutcome::Inserted(_)));
        for ((outcome, answer), before) in inserted.zip(answers).zip(asked) {
            if let ImportRowOutcome::Exists(key) = answer {
                *outcome = self.imported_before(key, before).await?;
            } else if let ImportOutcome::Inserted(key) = outcome {
                self.tell(Event::Imported { key: *key, actor });
            }
        }
        Ok(outcomes)
    }

    /// Returns the outcome for a token that exists already under this key. An earlier import may
    /// have imported the token while it still worked. If the earlier system has revoked or disabled
    /// it since, does the same here.
    async fn imported_before(&self, key: TokenKey, before: Before) -> Result<ImportOutcome, Error> {
        let Before { revoked, disabled, digests } = before;
        if !digests.is_empty()
            && let Some(record) = self.store.find(&key).await?
            && !digests.iter().any(|digest| record.digest.ct_eq(digest))
        {
            // Another token has the same public part. Do not revoke it in place of this token.
            return Ok(ImportOutcome::Rejected(Invalid::new(InvalidField::ImportPublicPart, InvalidKind::Duplicate)));
        }
        if let Some(revocation) = revoked {
            if self.store.find(&key).await?.is_some_and(|record| record.revoked.is_none()) {
                self.revoke_as(&key, &revocation).await?;
            }
        } else if let Some(disabled) = disabled {
            self.disable_as(&key, disabled).await?;
        }
        Ok(ImportOutcome::Exists(key))
    }
}

type Adopt = fn(&Keyring, &Policy, &Imports, ImportToken, &Actor, Timestamp) -> Result<ImportRow, Error>;

/// The data of a token that are needed if it was imported before.
struct Before {
    revoked: Option<Revocation>,
    disabled: Option<Disabled>,
    /// The digests that the existing record may have. The list is empty if the token is found by
    /// its digest.
    digests: Vec<Digest>,
}

impl Before {
    fn of(token: &ImportToken, keyring: &Keyring) -> Self {
        let ImportToken { revoked, disabled, salted, digest, .. } = token;
        let digests = salted.iter().flat_map(|_| keyring.import_macs().map(|mac| mac.digest(digest))).collect();
        Self { revoked: revoked.clone(), disabled: disabled.clone(), digests }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::record::{Disabled, Revocation, RevocationReason};
    use crate::rules::sample::{ada, at};
    use crate::store::ready::now;
    use crate::tokens::sample::{World, project, ring};
    use crate::words::import_digest::{ImportDigest, ImportHash};

    fn old(text: &str) -> ImportToken {
        let digest = ImportDigest::of(ImportHash::Sha256, text.as_bytes());
        ImportToken::new(digest, project("145"), "bob".parse().unwrap(), "CI".parse().unwrap(), at(-5))
    }

    fn import(world: &World, tokens: Vec<Result<ImportToken, Invalid>>) -> Result<Vec<ImportOutcome>, ErrorKind> {
        now(world.tokens.import(&ada(), tokens)).map_err(|error| error.kind())
    }

    fn inserted(outcome: ImportOutcome) -> TokenKey {
        let ImportOutcome::Inserted(key) = outcome else { panic!("{outcome:?}") };
        key
    }

    #[test]
    fn outcomes_are_in_order_and_a_repeat_reports_existing_tokens() {
        let world = World::new();
        let invalid = Invalid::new(InvalidField::Name, InvalidKind::Empty);
        let batch = || vec![Ok(old("one")), Err(invalid), Ok(old("two")), Ok(old("one"))];
        let outcomes = import(&world, batch()).unwrap();
        let (one, two) = (inserted(outcomes[0]), inserted(outcomes[2]));
        assert_eq!(outcomes[1], ImportOutcome::Rejected(invalid));
        assert_eq!(outcomes[3], ImportOutcome::Exists(one));
        assert_eq!(world.heard(), ["imported", "imported"]);
        let again = [ImportOutcome::Exists(one), outcomes[1], ImportOutcome::Exists(two), ImportOutcome::Exists(one)];
        assert_eq!(import(&world, batch()).unwrap(), again);
        assert_eq!(world.heard(), [""; 0]);
    }

    #[test]
    fn a_token_that_was_imported_under_another_key_of_the_ring_exists() {
        let world = World::new();
        let key = inserted(import(&world, vec![Ok(old("one"))]).unwrap()[0]);
        let promoted = World::over(world.store, ring(&[1, 2]));
        assert_eq!(import(&promoted, vec![Ok(old("one"))]), Ok(vec![ImportOutcome::Exists(key)]));
    }

    #[test]
    fn a_repeat_revokes_and_disables_tokens_that_were_so_since() {
        let world = World::new();
        let outcomes = import(&world, vec![Ok(old("one")), Ok(old("two"))]).unwrap();
        let (one, two) = (inserted(outcomes[0]), inserted(outcomes[1]));
        world.heard();
        let revocation =
            Revocation { at: at(-1), by: "root".parse().unwrap(), reason: RevocationReason::KeyCompromise };
        let disabled = Disabled { at: at(-2), by: "root".parse().unwrap() };
        let revoked = ImportToken { revoked: Some(revocation.clone()), disabled: Some(disabled.clone()), ..old("one") };
        let off = ImportToken { disabled: Some(disabled.clone()), ..old("two") };
        let batch = vec![Ok(revoked), Ok(off)];
        import(&world, batch.clone()).unwrap();
        assert_eq!((world.stored(&one).revoked.clone(), world.stored(&one).disabled.clone()), (Some(revocation), None));
        assert_eq!((world.stored(&two).revoked.clone(), world.stored(&two).disabled.clone()), (None, Some(disabled)));
        assert_eq!(world.heard(), ["revoked", "disabled"]);
        import(&world, batch).unwrap();
        assert_eq!(world.heard(), [""; 0]);
    }

    #[test]
    fn a_batch_has_at_most_1000_tokens() {
        let world = World::new();
        let batch = |count: usize| (0..count).map(|number| Ok(old(&number.to_string()))).collect();
        let most = PageSize::MAX.get();
        let too_many = Invalid::new(InvalidField::ImportBatch, InvalidKind::TooMany { max: most });
        assert_eq!(import(&world, batch(most + 1)), Err(ErrorKind::Invalid(too_many)));
        assert_eq!(import(&world, batch(most)).unwrap().len(), most);
    }

    #[test]
    fn nothing_is_imported_without_a_pepper() {
        let world = World::over(Default::default(), Keyring::unkeyed("acme_pat".parse().unwrap()));
        assert_eq!(import(&world, vec![Ok(old("one"))]), Err(ErrorKind::Unkeyed));
    }
}
