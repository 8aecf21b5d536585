//! The operation that explains to support staff why a token works or is rejected.

use core::time::Duration;

use super::service::Tokens;
use crate::rules::access::{Access, ProjectRequirement};
use crate::rules::error::Error;
use crate::rules::explain::Explanation;
use crate::rules::record::TokenRecord;
use crate::rules::verify_error::Why;
use crate::store::contract::TokenStore;

impl<S: TokenStore> Tokens<S> {
    /// Returns an explanation for support staff: every check that a presented token fails for this
    /// access, and the contents of the token's record.
    ///
    /// The call reads the current record from the store, and does not count as a use of the token.
    /// If the text is not a valid token, or if no record matches the text, the explanation contains
    /// only this one reason, and no record.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) or
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store fails, and `Unavailable` if the
    /// [owners hook](Self::with_owners) fails.
    ///
    /// ```
    /// # use keyfob::{Access, Actor, Clock, Keyring, MemoryStore, Name, NewToken, OwnerId};
    /// # use keyfob::{Prefix, ProjectId, Rejection, SystemClock, Tokens, clock::FixedClock};
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = FixedClock::new(SystemClock.now());
    /// # let keyring = Keyring::unkeyed(Prefix::new("acme_pat")?);
    /// # let tokens = Tokens::new(keyring, MemoryStore::new()).with_clock(clock.clone());
    /// # let (project, other) = (ProjectId::new("145")?, ProjectId::new("146")?);
    /// # let new = NewToken::new(project, OwnerId::new("ada")?, Name::new("CI")?);
    /// # let issued = tokens.issue(&Actor::new("ada")?, new).await?;
    /// # let text = issued.token.expose_secret();
    /// clock.advance(core::time::Duration::from_secs(31 * 24 * 60 * 60));
    /// let explanation = tokens.explain(text, &Access::to(&other, &[])).await?;
    /// assert_eq!(explanation.fails, [Rejection::Expired, Rejection::Project]);
    /// assert!(explanation.to_string().ends_with("\"CI\" of ada: fails expired, project"));
    /// # Ok(())
    /// # }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(example()).unwrap();
    /// ```
    pub async fn explain<T, P>(&self, token: &T, access: &Access<'_, P>) -> Result<Explanation, Error>
    where
        T: AsRef<[u8]> + Sync + ?Sized,
        P: ProjectRequirement,
    {
        let found = match self.found(token.as_ref()).await {
            Ok(found) => found,
            Err(error) => match error.into_why() {
                Why::Rejected(rejection) => return Ok(Explanation::of_text(rejection)),
                Why::Unavailable(error) => return Err(error.into()),
            },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::record::RevocationReason;
    use crate::rules::sample::{MS, ada};
    use crate::store::ready::now;
    use crate::tokens::sample::{World, mistyped, project};
    use crate::words::rejection::Rejection;

    #[test]
    fn an_explanation_of_a_wrong_text_holds_one_reason() {
        let world = World::new();
        let issued = world.issued("145");
        let access = Access::to(&project("146"), &[]);
        let explain = |text: &str| now(world.tokens.explain(text, &access)).unwrap().fails;
        assert_eq!(explain(issued.token.expose_secret()), [Rejection::Project]);
        assert_eq!(explain(&mistyped(issued.token.expose_secret())), [Rejection::Checksum]);
        now(world.tokens.revoke(&ada(), &issued.record.key(), RevocationReason::default())).unwrap();
        world.advance(MS);
        now(world.tokens.purge(Duration::ZERO)).unwrap();
        assert_eq!(explain(issued.token.expose_secret()), [Rejection::Unknown]);
    }
}
