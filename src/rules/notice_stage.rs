//! How far the notices of a token's coming end have gone.

use core::time::Duration;

use crate::words::timestamp::Timestamp;

/// How far the notices of a token's coming end have gone: 30, 7 and 1 days before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum NoticeStage {
    /// None yet.
    #[default]
    None,
    /// 30 days before.
    Month,
    /// 7 days before.
    Week,
    /// 1 day before.
    Day,
}

word_type!(NoticeStage { None = "none", Month = "month", Week = "week", Day = "day" });

impl NoticeStage {
    /// How long before the expiry the stage begins.
    pub const fn ahead(self) -> Option<Duration> {
        const DAY: u64 = 24 * 60 * 60;
        match self {
            Self::None => None,
            Self::Month => Some(Duration::from_secs(30 * DAY)),
            Self::Week => Some(Duration::from_secs(7 * DAY)),
            Self::Day => Some(Duration::from_secs(DAY)),
        }
    }

    /// The stage that a token of this expiry is in at `now`.
    pub(crate) fn of(expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        let begun = |stage: &Self| {
            let begins = stage.ahead().zip(expires_at).map(|(ahead, end)| end.saturating_sub(ahead));
            begins.is_some_and(|begins| begins <= now)
        };
        Self::ALL.iter().copied().rfind(begun).unwrap_or(Self::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{DAY, MS, at};

    #[test]
    fn a_stage_begins_its_days_ahead_of_the_expiry() {
        let stage = |before: Duration| NoticeStage::of(Some(at(0)), at(0).saturating_sub(before));
        for (days, earlier, later) in [
            (30, NoticeStage::None, NoticeStage::Month),
            (7, NoticeStage::Month, NoticeStage::Week),
            (1, NoticeStage::Week, NoticeStage::Day),
        ] {
            assert_eq!(stage(days * DAY + MS), earlier);
            assert_eq!(stage(days * DAY), later);
            assert_eq!(stage(days * DAY - MS), later);
            assert_eq!(later.ahead(), Some(days * DAY));
        }
        assert_eq!(stage(Duration::ZERO), NoticeStage::Day);
        assert_eq!(NoticeStage::None.ahead(), None);
    }

    #[test]
    fn a_token_that_never_expires_is_in_no_stage() {
        assert_eq!(NoticeStage::of(None, at(0)), NoticeStage::None);
    }
}
