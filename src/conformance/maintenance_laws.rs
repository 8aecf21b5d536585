//! The laws of [`StoreMaintenance`], grouped by the file that contains their test cases.

use super::law::laws;
use super::verdict::Report;
use super::{issued, notice, projects, purge, races, reader, work};
use crate::store::contract::TokenStore;
use crate::store::maintenance::StoreMaintenance;

/// Passes the laws for maintenance to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyfob_maintenance_laws {
    ([$($macro:tt)+] $($head:tt)*) => {
        $($macro)+! { $($head)* {
        projects {
            /// Checks that repeated calls of `projects` return every project that has tokens.
            projects_names_all_that_have_tokens;
            /// Checks that repeated calls of `projects` for an owner return every project in which
            /// this owner has tokens.
            projects_names_all_of_an_owner;
            /// Checks that one call of `projects` returns each project once, in ascending order.
            projects_ascend;
            /// Checks that `projects` returns only projects that come after `ProjectsQuery::after`.
            projects_start_behind_the_one_named;
            /// Checks that one call of `projects` returns at most as many projects as requested.
            projects_are_no_more_than_asked;
        }
        work {
            /// Checks that repeated calls of `projects` with `EndedBefore` return every project
            /// with a token that ended before the given time, up to one millisecond before it.
            projects_with_ended_tokens_are_named;
            /// Checks that repeated calls of `projects` with `DueNotices` return every project with
            /// a notice that can be claimed, also if the notice begins exactly at the given time.
            projects_with_due_notices_are_named;
            /// Checks that repeated calls of `projects` with `EndedIssuers` return every project
            /// with an ended issuer that still has bound tokens to revoke.
            projects_with_ended_issuers_are_named;
            /// Checks that repeated calls of `projects` with `KeyNumber` return every project with
            /// a live or ended token of the given key.
            projects_with_a_key_are_named;
            /// Checks that repeated calls of `scan` return every record once, in the order of
            /// projects and ids. A store that does not support `scan` passes.
            scan_returns_all_records_in_order;
            /// Checks that one call of `scan` returns at most as many records as requested, and as
            /// many as there are. A store that does not support `scan` passes.
            scan_returns_no_more_than_asked;
        }
        purge {
            /// Checks that a purge deletes tokens that were revoked, that lapsed or expired, or
            /// whose grace period ended, before the given time. If several times can end a token,
            /// the earliest time counts.
            purge_deletes_each_kind_of_end;
            /// Checks that a purge keeps tokens that ended at the given time or later.
            purge_leaves_what_ended_at_the_time;
            /// Checks that a purge keeps tokens that never end.
            purge_leaves_what_has_no_end;
            /// Checks that a purge leaves other projects unchanged.
            purge_stays_in_its_project;
            /// Checks that one call of `purge` deletes at most `most` records, and at least one if
            /// any is left.
            purge_comes_in_batches;
            /// Checks that `BatchResult::count` is the number of records that the call deleted.
            purge_counts_its_rows;
            /// Checks that `BatchResult::done` is true if and only if no record is left to delete.
            purge_is_done_when_none_is_left;
        }
        issued {
            /// Checks that, of several issuers with bound tokens, `ended_issuers` returns exactly
            /// the issuers that have ended or do not exist.
            ended_issuers_are_named;
            /// Checks that `ended_issuers` returns an issuer only if `can_still_work` returns true
            /// for at least one token that is bound to the issuer.
            ended_issuers_have_something_left;
            /// Checks that one call of `ended_issuers` returns at most as many issuers as
            /// requested, and at least one if there is any.
            ended_issuers_are_no_more_than_asked;
        }
        notice {
            /// Checks that a claim returns exactly the tokens for which a notice is due at the
            /// given time, with the given lead times.
            claim_takes_just_what_is_due;
            /// Checks that a claim leaves other projects unchanged.
            claim_stays_in_its_project;
            /// Checks that a notice is not claimed while another sender holds a lease on it.
            claim_respects_a_lease;
            /// Checks that a notice can be claimed at the time at which the lease on it ends, and
            /// later.
            claim_takes_over_when_a_lease_ends;
            /// Checks that a claim sets the end of the lease, raises the number of leases by one,
            /// and changes nothing else.
            claim_writes_the_lease;
            /// Checks that a claim does not raise the version, because no rule reads a lease.
            claim_leaves_the_version;
            /// Checks that the notices of the tokens that expire soonest are claimed first.
            claim_takes_the_soonest_first;
            /// Checks that one call claims at most as many notices as requested, and sets no lease
            /// on the other notices.
            claim_takes_no_more_than_asked;
            /// Checks that an acknowledgement of a notice records the notice's lead time, ends the
            /// lease and changes nothing else.
            acknowledge_sets_the_lead_and_ends_the_lease;
            /// Checks that an acknowledgement never replaces the recorded lead by a longer lead.
            acknowledge_never_goes_back;
            /// Checks that the acknowledgement of a notice does not raise the version of the
            /// record.
            acknowledge_leaves_the_version;
            /// Checks that an acknowledgement of an absent record returns `None` and creates no
            /// record.
            acknowledge_answers_none_for_the_absent;
        }
        } }
    };
}

/// Passes the laws for concurrent maintenance to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyfob_maintenance_race_laws {
    ([$($macro:tt)+] $($head:tt)*) => {
        $($macro)+! { $($head)* {
        reader {
            /// Checks that a list during a purge shows all records of the purge, or none.
            a_reader_beside_a_purge_sees_all_or_none;
            /// Checks that a list during `claim_notices` shows a lease on all claimed notices, or
            /// on none.
            a_reader_beside_a_claim_sees_all_or_none;
        }
        races {
            /// Checks that exactly one of several concurrent claims gets a due notice.
            one_claim_of_a_notice_wins;
        }
        } }
    };
}

__keyfob_maintenance_laws! { [laws] maintenance_of(TokenStore + StoreMaintenance) as ErasedMaintenance in MaintenanceLaws }
__keyfob_maintenance_race_laws! { [laws] maintenance_races_of(TokenStore + StoreMaintenance) as ErasedMaintenance in MaintenanceLaws }

/// Tests a store against all laws of [`StoreMaintenance`]. The cases insert their records through
/// [`TokenStore`].
pub async fn maintenance<S: TokenStore + StoreMaintenance>(store: &S) -> Report {
    let mut report = Report::default();
    maintenance_of(store, &mut report).await;
    maintenance_races_of(store, &mut report).await;
    report
}
