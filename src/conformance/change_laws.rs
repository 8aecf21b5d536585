//! The laws of [`TokenStore`] for changes, grouped by the file that contains their test cases.

use super::law::laws;
use super::{change, group, retry, revoke, rotate, touch};
use crate::store::contract::TokenStore;

/// Passes the laws for changes to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyfob_change_laws {
    ([$($macro:tt)+] $($head:tt)*) => {
        $($macro)+! { $($head)* {
        change {
            /// Checks that each kind of change sets its own columns and no others, in the returned
            /// and in the stored record.
            update_makes_each_change;
            /// Checks that each kind of change raises the version by one.
            update_raises_the_version;
            /// Checks that an update whose expected version is not the current one fails with
            /// `Conflict`, and that the record stays unchanged.
            update_needs_the_expected_version;
            /// Checks that an update of an absent record returns `None` and creates no record.
            update_answers_none_for_the_absent;
            /// Checks that a revoked token accepts each kind of change, and stays revoked.
            update_leaves_a_revoked_token_revoked;
            /// Checks that an update keeps the last use, even if the use was recorded after the
            /// caller read the record.
            update_leaves_the_last_use;
        }
        revoke {
            /// Checks that a revocation sets time, actor and reason, and changes no other column
            /// except the version.
            revoke_writes_time_actor_and_reason;
            /// Checks that a revocation raises the version by one.
            revoke_raises_the_version;
            /// Checks that a second revocation returns the time, actor and reason of the first.
            the_first_revocation_stays;
            /// Checks that a second revocation does not raise the version.
            a_second_revoke_leaves_the_version;
            /// Checks that a revocation of an absent record returns `None` and creates no record.
            revoke_answers_none_for_the_absent;
            /// Checks that tokens that have ended without being revoked can be revoked.
            revoke_takes_dead_tokens;
        }
        group {
            /// Checks that the revocation of an owner revokes exactly the tokens of this owner.
            a_group_is_an_owner;
            /// Checks that the revocation of a family revokes exactly the tokens of the family.
            a_group_is_a_family;
            /// Checks that the revocation by time of creation revokes exactly the tokens that were
            /// created strictly before the given time.
            a_group_is_what_was_created_before;
            /// Checks that a revocation by key number revokes exactly the tokens with this number.
            a_group_is_a_key_number;
            /// Checks that the revocation of a group leaves other projects unchanged.
            a_group_stays_in_its_project;
            /// Checks that one call revokes all tokens of an owner or family, even if there are
            /// more than 1,000, the maximum for one step.
            owner_and_family_are_revoked_in_one_call;
            /// Checks that the revocation of an owner's or family's tokens covers live tokens,
            /// tokens in their grace period, and tokens that ended at most 24 hours earlier.
            owner_and_family_take_all_that_can_still_work;
            /// Checks that the revocation of a group returns the number of records that it revoked.
            a_group_counts_its_rows;
            /// Checks that a batch revokes at most `most` records, and at least one if any is left.
            revoke_batch_revokes_no_more_than_asked;
            /// Checks that `BatchResult::count` is the number of records that the batch revoked.
            revoke_batch_counts_its_rows;
            /// Checks that `BatchResult::done` is true exactly if no record is left to revoke.
            revoke_batch_is_done_when_none_is_left;
            /// Checks that a batch also revokes tokens that have ended without being revoked.
            revoke_batch_takes_dead_tokens;
            /// Checks that the revocation of a group sets the time, actor and reason of each
            /// record, and changes no other column except the version.
            a_group_writes_as_revoke_does;
            /// Checks that the revocation of a group raises the version of each record by one.
            a_group_raises_the_version;
            /// Checks that a group's revocation does not change records that are revoked already.
            a_group_leaves_the_revoked;
        }
        rotate {
            /// Checks that a rotation inserts the successor, sets `rotated_to` and `grace_until` of
            /// the old token, and returns the old token.
            rotate_links_both;
            /// Checks that a rotation stores every column of the successor unchanged.
            rotate_keeps_every_column_of_the_successor;
            /// Checks that a rotation raises the version of the old token by one.
            rotate_raises_the_version;
            /// Checks that a rotation fails with `Conflict` if the expected version is not current.
            rotate_needs_the_expected_version;
            /// Checks that the rotation of a revoked token fails with `Conflict`.
            rotate_refuses_a_revoked_token;
            /// Checks that expired, disabled and other tokens that do not work can be rotated: a
            /// store does not decide whether a token works.
            rotate_takes_tokens_that_do_not_work;
            /// Checks that a rotation fails with `Conflict` if a record with the successor's key
            /// exists, and that this record stays unchanged.
            rotate_refuses_a_successor_that_is_there;
            /// Checks that a rotation fails with `Conflict` if the successor is in another project,
            /// and that the successor is not inserted.
            rotate_stays_in_its_project;
            /// Checks that a rotation of an absent record returns `None` and inserts no successor.
            rotate_answers_none_for_the_absent;
            /// Checks that a token cannot be rotated before the grace period of its predecessor
            /// ends, even if the predecessor is disabled.
            rotate_waits_for_the_grace_of_its_predecessor;
            /// Checks that a rotation with an issuer condition fails unless the issuer exists, has
            /// the expected version and is not revoked. The issuer may be the old token itself.
            rotate_needs_its_issuer;
            /// Checks that a refused rotation changes no record and inserts none.
            a_refused_rotation_changes_nothing;
        }
        retry {
            /// Checks that a rotated token cannot be rotated again, either with another request id
            /// or without a request id.
            rotate_refuses_a_second_successor;
            /// Checks that two rotations without a request id do not count as repeats of each
            /// other: the second fails with `Conflict`.
            two_rotations_without_a_request_are_no_retry;
            /// Checks that a repeated rotation replaces the earlier successor if this successor is
            /// not confirmed yet.
            a_retry_takes_the_place_of_the_first;
            /// Checks that a repeated rotation revokes the earlier successor as superseded. The
            /// revocation has the creation time and the creator of the new successor.
            a_retry_revokes_the_first_successor;
            /// Checks that a rotation cannot be repeated after its successor was confirmed.
            a_confirmed_successor_ends_retries;
            /// Checks that a rotation cannot be repeated after its successor was revoked.
            a_revoked_successor_ends_retries;
            /// Checks that a rotation cannot be repeated after its successor was changed, because
            /// the repeat would undo the change.
            a_changed_successor_ends_retries;
            /// Checks that a rotation cannot be repeated more than 12 hours after its successor
            /// ended. [`REPEAT_MARGIN`](crate::TokenRecord::REPEAT_MARGIN) says why.
            a_successor_that_ended_long_ago_ends_retries;
            /// Checks that a rotation can be repeated after the old token's grace period ended.
            a_retry_is_done_after_the_grace;
            /// Checks that a rotation cannot be repeated after the old token has expired.
            an_expired_token_ends_retries;
            /// Checks that a rotation cannot be repeated after the old token was disabled.
            a_disabled_token_ends_retries;
        }
        touch {
            /// Checks that recording a later use replaces the last use.
            touch_moves_forwards;
            /// Checks that recording an earlier use does not change the last use.
            touch_never_moves_backwards;
            /// Checks that the latest of several uses of one token in a batch is recorded, no
            /// matter where in the batch it is.
            touch_takes_the_latest_of_a_batch;
            /// Checks that the address and client of a use are recorded together with its time, and
            /// do not change unless the time does.
            touch_writes_where_a_use_came_from;
            /// Checks that `touch_many` ignores the uses of unknown tokens: it does not fail,
            /// creates no record for them, and records the uses of the other tokens.
            touch_ignores_unknown_tokens;
            /// Checks that `touch_many` changes only the columns of the last use.
            touch_changes_no_other_column;
            /// Checks that `touch_many` does not raise the version.
            touch_leaves_the_version;
            /// Checks that `touch_many` returns the number of records whose last use changed.
            touch_counts_the_rows_it_moved;
            /// Checks that `touch_many` also records the uses of tokens that have ended.
            touch_takes_dead_tokens;
            /// Checks that a revoked token stays revoked after `touch_many` records a use of it.
            touch_leaves_a_revoked_token_revoked;
        }
        } }
    };
}

__keyfob_change_laws! { [laws] changes(TokenStore) as ErasedTokens in TokenLaws }
