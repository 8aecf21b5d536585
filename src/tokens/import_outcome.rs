//! The outcomes of an import.

use crate::words::ids::TokenKey;
use crate::words::invalid::Invalid;

/// The outcome of an import for one token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImportOutcome {
    /// The token was imported, and has this key.
    Inserted(TokenKey),
    /// The token already existed, and has this key. If the
    /// [`ImportToken`](crate::import::ImportToken) says that the token is revoked or disabled, the
    /// import revoked or disabled the existing token. The import changed nothing else.
    Exists(TokenKey),
    /// The token could not be imported, for this reason.
    Rejected(Invalid),
}

/// The progress of an import: how many tokens had each outcome, in all calls together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ImportProgress {
    /// The number of tokens that were imported.
    pub inserted: u64,
    /// The number of tokens that already existed.
    pub exists: u64,
    /// The number of tokens that could not be imported.
    pub rejected: u64,
}

impl ImportProgress {
    /// Adds the outcomes of one call of [`import`](crate::Tokens::import).
    pub fn add(&mut self, outcomes: &[ImportOutcome]) {
        for outcome in outcomes {
            *match outcome {
                ImportOutcome::Inserted(_) => &mut self.inserted,
                ImportOutcome::Exists(_) => &mut self.exists,
                ImportOutcome::Rejected(_) => &mut self.rejected,
            } += 1;
        }
    }

    /// Returns the number of all tokens: the sum of the three counts.
    pub fn total(&self) -> u64 {
        self.inserted + self.exists + self.rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::invalid::{InvalidField, InvalidKind};

    #[test]
    fn progress_is_the_sum_of_all_outcomes() {
        let key = crate::rules::sample::record().key();
        let invalid = Invalid::new(InvalidField::Name, InvalidKind::Empty);
        let mut progress = ImportProgress::default();
        progress.add(&[ImportOutcome::Inserted(key), ImportOutcome::Exists(key), ImportOutcome::Inserted(key)]);
        progress.add(&[ImportOutcome::Rejected(invalid), ImportOutcome::Inserted(key), ImportOutcome::Exists(key)]);
        assert_eq!(progress, ImportProgress { inserted: 3, exists: 2, rejected: 1 });
        assert_eq!(progress.total(), 6);
    }
}
