//! The lead times of all notices of expiry of a service.

use core::fmt;

use super::notice_lead::NoticeLead;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

/// The lead times at which a service sends notices of expiry: 1 to 16 lead times, the longest
/// first, without duplicates. The default is 30 days, 7 days and 1 day.
///
/// The schedule is part of the [`Policy`](crate::Policy), because a new token skips the notices
/// that are already overdue when it is issued.
///
/// **Change the schedule** of a running service at any time. Each token keeps the shortest lead
/// time of the notices that were sent for it or skipped, and gets only notices with a shorter lead
/// time. For example, if a token has had its notice of 30 days and the new schedule is 60, 7 and 3
/// days, the token gets the notices of 7 and 3 days. If a token has had no notice yet, and the
/// change means that a notice has already begun, it gets the latest notice that has begun. So use
/// the expiry of the token in the text of a notice, not the lead time.
///
/// ```
/// use keyfob::{Policy, notices::{NoticeLead, NoticeSchedule}};
///
/// let policy = Policy::default().with_notices(NoticeSchedule::of_days([60, 7, 3])?);
/// let leads = policy.notices().leads().iter().map(NoticeLead::to_string);
/// assert_eq!(leads.collect::<Vec<_>>(), ["60d", "7d", "3d"]);
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct NoticeSchedule(Box<[NoticeLead]>);

impl NoticeSchedule {
    /// The maximum number of lead times in a schedule.
    pub const MAX: usize = 16;

    /// Creates a schedule of these lead times, in any order.
    ///
    /// # Errors
    /// Returns [`Invalid`] if there is no lead time, if there are more than 16, or if a lead time
    /// is given twice.
    pub fn new(leads: impl IntoIterator<Item = NoticeLead>) -> Result<Self, Invalid> {
        let flaw = |flaw| Err(Invalid::new(InvalidField::NoticeSchedule, flaw));
        // One more than allowed is enough to see that there are too many.
        let mut leads: Vec<NoticeLead> = leads.into_iter().take(Self::MAX + 1).collect();
        leads.sort_unstable_by(|one, other| other.cmp(one));
        if leads.is_empty() {
            flaw(InvalidKind::Empty)
        } else if leads.len() > Self::MAX {
            flaw(InvalidKind::TooMany { max: Self::MAX })
        } else if leads.windows(2).any(|pair| pair[0] == pair[1]) {
            flaw(InvalidKind::Duplicate)
        } else {
            Ok(Self(leads.into()))
        }
    }

    /// Creates a schedule of lead times in days, in any order.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a lead time is 0 or more than 366 days, and under the same conditions
    /// as [`new`](Self::new).
    pub fn of_days(days: impl IntoIterator<Item = u16>) -> Result<Self, Invalid> {
        let leads = days.into_iter().take(Self::MAX + 1).map(NoticeLead::from_days).collect::<Result<Vec<_>, _>>()?;
        Self::new(leads)
    }

    /// Returns the lead times, the longest first.
    pub fn leads(&self) -> &[NoticeLead] {
        &self.0
    }
}

impl Default for NoticeSchedule {
    fn default() -> Self {
        Self(NoticeLead::ALL.into())
    }
}

impl fmt::Debug for NoticeSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(NoticeLead::to_string)).finish()
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for NoticeSchedule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let leads = Vec::<NoticeLead>::deserialize(deserializer)?;
        Self::new(leads).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::record::TokenRecord;
    use crate::rules::sample::{DAY, MS, at, record};

    fn days(days: &[u16]) -> NoticeSchedule {
        NoticeSchedule::of_days(days.iter().copied()).unwrap()
    }

    #[test]
    fn a_schedule_is_sorted_with_the_longest_lead_first() {
        assert_eq!(days(&[3, 60, 7]), days(&[60, 7, 3]));
        assert_eq!(days(&[7, 1, 30]), NoticeSchedule::default());
        assert_eq!(days(&[7, 1, 30]).leads(), NoticeLead::ALL);
        assert_eq!(format!("{:?}", days(&[3, 60])), r#"["60d", "3d"]"#);
    }

    #[test]
    fn a_schedule_has_one_to_sixteen_different_leads() {
        let flaw = |days: Vec<u16>| NoticeSchedule::of_days(days).unwrap_err();
        assert_eq!(flaw(vec![]).to_string(), "notice schedule: empty");
        assert_eq!(flaw(vec![7, 3, 7]).to_string(), "notice schedule: given twice");
        assert!(NoticeSchedule::of_days(1..=16).is_ok());
        assert_eq!(flaw((1..=17).collect()).kind(), InvalidKind::TooMany { max: 16 });
        assert!(NoticeSchedule::of_days([366]).is_ok());
        for days in [0, 367] {
            assert_eq!(flaw(vec![days]).to_string(), "notice lead: out of range");
        }
        assert_eq!(
            NoticeSchedule::new(core::iter::repeat(NoticeLead::DAY)).unwrap_err().kind(),
            flaw((1..=17).collect()).kind()
        );
    }

    /// Returns the notices that a token gets in a number of days, one look each day. The token
    /// expires at the end of them. Until the day `changed`, the first schedule applies, and then
    /// the second one.
    fn told(
        life: u32,
        sent: Option<NoticeLead>,
        changed: u32,
        one: &NoticeSchedule,
        other: &NoticeSchedule,
    ) -> Vec<String> {
        let mut token =
            TokenRecord { expires_at: Some(at(0).saturating_add(life * DAY)), notice_lead: sent, ..record() };
        let mut told = Vec::new();
        for day in 0..life {
            let schedule = if day < changed { one } else { other };
            let now = at(0).saturating_add(day * DAY);
            if let Some(lead) = token.due_notice(schedule.leads(), now) {
                told.push(format!("{lead} at {}", life - day));
                token.acknowledge_notice(lead);
            }
        }
        told
    }

    #[test]
    fn a_changed_schedule_repeats_no_notice_and_skips_none_that_is_to_come() {
        let (usual, new) = (NoticeSchedule::default(), days(&[60, 7, 3]));
        let told_of = |sent| told(90, sent, 0, &new, &new);
        assert_eq!(told_of(Some(NoticeLead::MONTH)), ["7d at 7", "3d at 3"]);
        assert_eq!(told_of(Some(NoticeLead::DAY)), [""; 0], "no longer one follows the last notice");
        let told = |life, changed, one, other| told(life, None, changed, one, other);
        assert_eq!(told(90, 90, &new, &usual), ["60d at 60", "7d at 7", "3d at 3"]);
        // The token has had its notice of 30 days when the schedule changes.
        assert_eq!(told(90, 70, &usual, &new), ["30d at 30", "7d at 7", "3d at 3"]);
        // The token has had no notice yet, and the notice of 60 days has begun.
        assert_eq!(told(90, 50, &usual, &new), ["60d at 40", "7d at 7", "3d at 3"]);
        // The schedule changes back after the notice of 3 days.
        assert_eq!(told(90, 88, &new, &usual), ["60d at 60", "7d at 7", "3d at 3", "1d at 1"]);
        assert_eq!(told(90, 85, &usual, &days(&[6])), ["30d at 30", "7d at 7", "6d at 5"]);
    }

    #[test]
    fn notices_that_are_overdue_for_a_new_token_are_skipped_under_a_new_schedule_too() {
        let new = days(&[60, 7, 3]);
        let begun = NoticeLead::begun(new.leads(), Some(at(0).saturating_add(40 * DAY)), at(0));
        assert_eq!(begun, Some(NoticeLead::from_days(60).unwrap()));
        assert_eq!(told(40, begun, 40, &new, &new), ["7d at 7", "3d at 3"]);
        let just = NoticeLead::begun(new.leads(), Some(at(0).saturating_add(60 * DAY + MS)), at(0));
        assert_eq!(just, None);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_schedule_is_a_list_of_milliseconds_in_a_configuration_file() {
        let text = "[5184000000,604800000,259200000]";
        assert_eq!(serde_json::to_string(&days(&[60, 7, 3])).unwrap(), text);
        assert_eq!(
            serde_json::from_str::<NoticeSchedule>("[259200000, 5184000000, 604800000]").unwrap(),
            days(&[60, 7, 3])
        );
        for bad in ["[]", "[0]", "[1,1]", "[-1]", "1", &format!("{:?}", (1..=17).collect::<Vec<u64>>())] {
            assert!(serde_json::from_str::<NoticeSchedule>(bad).is_err(), "{bad}");
        }
    }
}
