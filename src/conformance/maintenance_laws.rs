//! The laws of [`StoreMaintenance`], each given by the file that tries it.

use super::law::laws;
use super::{issued, notice, projects, purge, races};
use crate::store::contract::TokenStore;
use crate::store::erased::MaintainedObject;
use crate::store::maintenance::StoreMaintenance;

laws! {
    /// Runs every law of [`StoreMaintenance`]. The store must be a [`TokenStore`] as well, to have rows.
    maintenance(TokenStore + StoreMaintenance) as MaintainedObject {
        projects {
            /// Every project that has tokens is named, over as many calls as it takes.
            projects_names_all_that_have_tokens;
            /// Every project in which an owner has tokens is named.
            projects_names_all_of_an_owner;
            /// Projects come in ascending order, each once.
            projects_ascend;
            /// Projects start behind the one that is named.
            projects_start_behind_the_one_named;
            /// One call names at most as many as asked for.
            projects_are_no_more_than_asked;
        }
        purge {
            /// Revoked, rotated, lapsed and expired tokens are deleted, by the first of their ends.
            purge_deletes_each_kind_of_end;
            /// What ended just at the time stays, and what ends after it.
            purge_leaves_what_ended_at_the_time;
            /// What has no end is never deleted.
            purge_leaves_what_has_no_end;
            /// Purging leaves other projects alone.
            purge_stays_in_its_project;
            /// One call deletes at most `most` rows and at least one, until none is left.
            purge_comes_in_batches;
            /// The count of a batch is that of the rows it deleted.
            purge_counts_its_rows;
            /// A batch is done just when it leaves none: also when it was full.
            purge_is_done_when_none_is_left;
        }
        issued {
            /// Just the issuers that have ended, or are not there, are named.
            ended_issuers_are_named;
            /// An issuer is named only while something that is bound to it can still work by itself.
            ended_issuers_have_something_left;
            /// One call names at most as many as asked for, and at least one.
            ended_issuers_are_no_more_than_asked;
        }
        notice {
            /// Just the tokens with a notice due at the time are claimed.
            claim_takes_just_what_is_due;
            /// Claiming leaves other projects alone.
            claim_stays_in_its_project;
            /// What another sender has a lease on is not claimed.
            claim_respects_a_lease;
            /// From the end of a lease on it is claimed again: at the end itself, too.
            claim_takes_over_when_a_lease_ends;
            /// A claim writes the lease, and nothing else.
            claim_writes_the_lease;
            /// A claim leaves the version: no rule reads a lease.
            claim_leaves_the_version;
            /// Those that expire first are claimed first.
            claim_takes_the_soonest_first;
            /// One call claims at most as many as asked for, and leases no others.
            claim_takes_no_more_than_asked;
            /// An acknowledgement sets the stage, clears the lease, and changes nothing else.
            acknowledge_sets_the_lead_and_ends_the_lease;
            /// The stage never goes back.
            acknowledge_never_goes_back;
            /// An acknowledgement leaves the version.
            acknowledge_leaves_the_version;
            /// An acknowledgement of no row is `None`, and makes none.
            acknowledge_answers_none_for_the_absent;
        }
        races {
            /// Of several senders at once one claims a notice.
            one_claim_of_a_notice_wins;
        }
    }
}
