//! The laws of [`StoreMaintenance`], by the file with their cases.

use super::law::laws;
use super::{issued, notice, projects, purge, races};
use crate::store::contract::TokenStore;
use crate::store::erased::MaintainedObject;
use crate::store::maintenance::StoreMaintenance;

laws! {
    /// Runs all laws of [`StoreMaintenance`]. The cases insert their records through
    /// [`TokenStore`].
    maintenance(TokenStore + StoreMaintenance) as MaintainedObject {
        projects {
            /// Checks that every project that has tokens is returned, over as many calls as it
            /// takes.
            projects_names_all_that_have_tokens;
            /// Checks that every project in which an owner has tokens is returned.
            projects_names_all_of_an_owner;
            /// Checks that projects are returned in ascending order, each once.
            projects_ascend;
            /// Checks that only projects after the given one are returned.
            projects_start_behind_the_one_named;
            /// Checks that one call returns at most as many projects as requested.
            projects_are_no_more_than_asked;
        }
        purge {
            /// Checks that revoked, rotated, lapsed and expired tokens are deleted by the earliest
            /// of their ends.
            purge_deletes_each_kind_of_end;
            /// Checks that tokens that ended at the given time or later are kept.
            purge_leaves_what_ended_at_the_time;
            /// Checks that tokens without an end are never deleted.
            purge_leaves_what_has_no_end;
            /// Checks that a purge leaves other projects unchanged.
            purge_stays_in_its_project;
            /// Checks that one call deletes at most `most` records, and at least one if any is
            /// left.
            purge_comes_in_batches;
            /// Checks that the count of a batch is the number of records that it deleted.
            purge_counts_its_rows;
            /// Checks that a batch is done exactly if no record is left, also if it was full.
            purge_is_done_when_none_is_left;
        }
        issued {
            /// Checks that exactly the issuers that have ended, or do not exist, are returned.
            ended_issuers_are_named;
            /// Checks that an issuer is returned only while a token bound to it can still work by
            /// itself.
            ended_issuers_have_something_left;
            /// Checks that one call returns at most as many issuers as requested, and at least one.
            ended_issuers_are_no_more_than_asked;
        }
        notice {
            /// Checks that exactly the tokens with a notice due at the time are claimed.
            claim_takes_just_what_is_due;
            /// Checks that a claim leaves other projects unchanged.
            claim_stays_in_its_project;
            /// Checks that a notice under another sender's lease is not claimed.
            claim_respects_a_lease;
            /// Checks that a notice can be claimed again from the very end of its lease.
            claim_takes_over_when_a_lease_ends;
            /// Checks that a claim sets and counts the lease, and changes nothing else.
            claim_writes_the_lease;
            /// Checks that a claim does not raise the version, because no rule reads a lease.
            claim_leaves_the_version;
            /// Checks that notices of tokens that expire sooner are claimed first.
            claim_takes_the_soonest_first;
            /// Checks that one call claims at most as many notices as requested, and leases no
            /// others.
            claim_takes_no_more_than_asked;
            /// Checks that an acknowledgement sets the lead, ends the lease and changes nothing
            /// else.
            acknowledge_sets_the_lead_and_ends_the_lease;
            /// Checks that an acknowledgement never makes the lead longer.
            acknowledge_never_goes_back;
            /// Checks that an acknowledgement does not raise the version.
            acknowledge_leaves_the_version;
            /// Checks that an acknowledgement of an absent record returns `None` and creates no
            /// record.
            acknowledge_answers_none_for_the_absent;
        }
        races {
            /// Checks that if several senders race for a notice, one claims it.
            one_claim_of_a_notice_wins;
        }
    }
}
