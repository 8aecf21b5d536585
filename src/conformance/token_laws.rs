//! The laws of [`TokenStore`], grouped by the file that contains their test cases.

use super::law::laws;
use super::{change, count, dropped, group, insert, issued, list, page, races, recent, retry, revoke, rotate, touch};
use crate::store::contract::TokenStore;
use crate::store::erased::StoreObject;

laws! {
    /// Tests a store against all laws of [`TokenStore`].
    token_store(TokenStore) as StoreObject {
        insert {
            /// Checks that an insert under the key of a live record fails with `Conflict`, and that
            /// the record stays unchanged.
            insert_never_replaces;
            /// Checks that an insert under the key of a revoked or expired record fails with
            /// `Conflict`, and that the record stays unchanged.
            insert_never_replaces_a_dead_row;
            /// Checks that the store keeps every column as it was inserted: set or empty, with
            /// unusual Unicode, with the earliest and the latest time.
            insert_keeps_every_column;
            /// Checks that ids that differ only in case belong to different tokens.
            ids_differ_by_case;
            /// Checks that one id in two projects names two tokens, and that no call on one token
            /// changes the other.
            one_id_in_two_projects_is_two_tokens;
            /// Checks that a limit counts all live tokens of the owner, including disabled, pending
            /// and not yet valid tokens and tokens in their grace period. Also checks that a
            /// refused record is not inserted.
            limit_counts_live_tokens;
            /// Checks that a limit ignores tokens that ended at or before `LiveLimit::now`.
            limit_ignores_dead_tokens;
            /// Checks that a limit ignores tokens of other owners and tokens in other projects.
            limit_is_of_one_owner_in_one_project;
            /// Checks that an insert fails with `IssuerChanged` if its issuer does not exist in the
            /// same project, and that the refused record is not inserted.
            insert_needs_its_issuer;
            /// Checks that an insert fails with `IssuerChanged` if its issuer is revoked.
            insert_refuses_a_revoked_issuer;
            /// Checks that an insert fails with `IssuerChanged` if the version of the issuer
            /// differs from the version in the issuer condition.
            insert_needs_the_issuers_version;
            /// Checks that an insert succeeds even if the issuer is expired or disabled, or was
            /// used after the caller read it: a store does not decide whether a token works.
            insert_takes_its_issuer_as_it_is;
            /// Checks that an insert under an existing key fails with `Conflict`, even if the
            /// issuer condition does not hold.
            insert_says_conflict_before_its_issuer;
            /// Checks that `find` returns the record of a token also after the token has ended.
            find_answers_dead_rows;
            /// Checks that `find` returns `None`, not an error, if there is no record with the key.
            find_answers_none_for_the_absent;
        }
        issued {
            /// Checks that the limit for a bound token counts exactly the live tokens that are
            /// bound to the same issuer, including tokens of other owners.
            limit_of_bound_tokens_is_of_one_issuer;
            /// Checks that the limit for an unbound token counts only the live, unbound tokens of
            /// the same owner.
            limit_of_an_owner_leaves_out_what_is_bound;
            /// Checks that a list by issuer contains all tokens that the issuer issued, bound or
            /// independent, live or ended, under every order.
            list_filters_by_issuer;
            /// Checks that a chain begins with the token, continues from each bound token to its
            /// issuer, and contains complete records.
            a_chain_goes_up_to_what_is_bound_to_none;
            /// Checks that a chain ends at an independent token and does not contain its issuer.
            a_chain_ends_at_an_independent_token;
            /// Checks that a chain ends if the next issuer does not exist.
            a_chain_ends_at_what_is_missing;
            /// Checks that a chain has at most four issuers.
            a_chain_ends_at_the_fourth_issuer;
            /// Checks that a chain shows every change that this store made to an issuer.
            a_chain_shows_what_was_changed;
            /// Checks that `revoke_issued_by` revokes all tokens that are bound to the issuer,
            /// including successors and tokens that ended recently. It does not revoke independent
            /// tokens, or tokens that are bound to the revoked tokens.
            revoke_issued_by_takes_what_is_bound;
            /// Checks that one call of `revoke_issued_by` revokes all bound tokens, even if there
            /// are more than 1,000, the maximum for one step.
            revoke_issued_by_takes_more_than_one_step;
        }
        recent {
            /// Checks that `find_recent` returns every record that this store inserted, even if an
            /// earlier call found no record under the key.
            find_recent_shows_what_was_inserted;
            /// Checks that `find_recent` shows every change that this store made to a token, and
            /// every revocation of a group that contains the token.
            find_recent_shows_what_was_changed;
            /// Checks that `find_durable` returns the same record as `find`.
            find_durable_shows_what_find_does;
        }
        list {
            /// Checks that a list contains only records of the query's project.
            list_stays_in_its_project;
            /// Checks that a list contains complete records, as `find` returns them.
            list_answers_whole_records;
            /// Checks that a list filters by the exact owner: case and accents must match.
            list_filters_by_owner;
            /// Checks that a list filters by each status and each set of statuses, just before, at
            /// and just after every time on which a status depends.
            list_filters_by_status;
            /// Checks that a search in names ignores case, in every alphabet.
            list_filters_by_name;
            /// Checks that a search takes wildcards of SQL, shells and regular expressions as text.
            list_takes_wildcards_as_they_are;
            /// Checks that a list by expiry contains the tokens that expire strictly before the
            /// given time, and no token that never expires.
            list_filters_by_expiry;
            /// Checks that a list by last use contains the tokens that were last used strictly
            /// before the given time. For a token that was never used, its time of creation counts.
            list_filters_by_last_use;
            /// Checks that a list contains only records that pass all filters of the query.
            list_wants_all_its_filters;
            /// Checks that a list is sorted by time of creation, in both directions.
            list_orders_by_creation;
            /// Checks that a list is sorted by the code points of folded names, in both directions.
            list_orders_by_name;
            /// Checks that a list is sorted by expiry, in both directions. Tokens that never expire
            /// sort after every time.
            list_orders_by_expiry;
            /// Checks that records with equal sort values are sorted by id, in the direction of the
            /// list.
            list_breaks_ties_by_id;
        }
        page {
            /// Checks that the pages of a list together contain each record once, under every
            /// order, even if several records have equal sort values.
            pages_hold_each_row_once;
            /// Checks that the pages together contain each unchanged record once, even if other
            /// records appear or disappear between two pages.
            pages_stay_stable_while_rows_come_and_go;
            /// Checks that a list can start after a position at which there is no record.
            a_cursor_is_a_place_without_its_row;
            /// Checks that `Page::next` is `Some` exactly if more records follow the page.
            next_is_there_just_where_more_follow;
            /// Checks that a page has at most as many records as the query requests.
            a_page_holds_no_more_than_asked;
            /// Checks that a list with a cursor of another order fails with
            /// [`Other`](crate::store::StoreErrorKind::Other).
            a_cursor_of_another_order_is_refused;
        }
        count {
            /// Checks that a count includes only records of the query's project.
            count_stays_in_its_project;
            /// Checks that a count filters by owner.
            count_filters_by_owner;
            /// Checks that a count filters by key number, which is the first character of the id.
            count_filters_by_key_number;
            /// Checks that a count filters by each status and each set of statuses. Counts at many
            /// times: just before, at and just after each change of the status of a record.
            count_filters_by_status;
        }
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
        races {
            /// Checks that exactly one of several concurrent inserts under one key succeeds, and
            /// that the store keeps the record of this insert.
            one_insert_of_a_key_wins;
            /// Checks that concurrent inserts do not exceed the owner's limit.
            inserts_at_once_keep_the_limit;
            /// Checks that exactly one of several concurrent updates of one version succeeds.
            one_update_of_a_version_wins;
            /// Checks that concurrent revocations of one token all return the same revocation, and
            /// that the store keeps this revocation.
            one_revoke_at_once_wins;
            /// Checks that exactly one of several concurrent rotations of a token succeeds, and
            /// that only the successor of this rotation exists.
            one_rotation_at_once_wins;
            /// Checks that a concurrent revocation and rotation of a token both succeed, or that
            /// the rotation is refused and inserts no successor.
            revoke_and_rotate_come_one_by_one;
            /// Checks that a rotation leaves no live token if it runs concurrently with the
            /// revocation of the owner or family.
            no_rotation_slips_past_a_group;
            /// Checks that no insert with an issuer condition takes effect after the revocation of
            /// the issuer is acknowledged.
            no_insert_slips_past_the_revocation_of_its_issuer;
            /// Checks that no rotation with an issuer condition takes effect after the revocation
            /// of the issuer is acknowledged.
            no_rotation_slips_past_the_revocation_of_its_issuer;
            /// Checks that a use and a revocation that are recorded concurrently both take effect.
            touch_and_revoke_at_once_both_hold;
            /// Checks that a use and a new name that are recorded concurrently both take effect.
            touch_and_rename_at_once_both_hold;
            /// Checks that the latest of several concurrently recorded uses is kept.
            the_latest_touch_at_once_stays;
        }
        dropped {
            /// Checks that a rotation whose future is dropped before it completes takes effect as a
            /// whole or not at all.
            a_dropped_rotation_is_whole_or_nothing;
            /// Checks that `revoke_owner` can be repeated after its future was dropped before it
            /// completed, and that the repeat revokes all tokens.
            a_dropped_revoke_owner_can_be_repeated;
        }
    }
}
