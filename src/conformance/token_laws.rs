//! The laws of [`TokenStore`], by the file with their cases.

use super::law::laws;
use super::{change, count, dropped, group, insert, issued, list, page, races, recent, retry, revoke, rotate, touch};
use crate::store::contract::TokenStore;
use crate::store::erased::StoreObject;

laws! {
    /// Runs all laws of [`TokenStore`].
    token_store(TokenStore) as StoreObject {
        insert {
            /// Checks that an insert over a live record is a conflict and leaves it unchanged.
            insert_never_replaces;
            /// Checks that an insert over a revoked or expired record is a conflict and leaves it
            /// unchanged.
            insert_never_replaces_a_dead_row;
            /// Checks that every column is returned as it was inserted: full or empty, with unusual
            /// Unicode, with the first and the last time.
            insert_keeps_every_column;
            /// Checks that ids that differ only in case belong to different tokens.
            ids_differ_by_case;
            /// Checks that one id in two projects means two tokens, and no call on one changes the
            /// other.
            one_id_in_two_projects_is_two_tokens;
            /// Checks that an owner's limit counts all live tokens: also disabled, pending and not
            /// yet valid ones, and those in their grace period. A refused record is not inserted.
            limit_counts_live_tokens;
            /// Checks that tokens that have ended at the given time do not count towards the limit.
            limit_ignores_dead_tokens;
            /// Checks that tokens of other owners or in other projects do not count towards the
            /// limit.
            limit_is_of_one_owner_in_one_project;
            /// Checks that an insert is refused if the issuer does not exist in the same project.
            /// The refused record is not inserted.
            insert_needs_its_issuer;
            /// Checks that an insert is refused if the issuer is revoked.
            insert_refuses_a_revoked_issuer;
            /// Checks that an insert is refused if the version of the issuer is not the one that
            /// was judged.
            insert_needs_the_issuers_version;
            /// Checks that an insert succeeds even if the issuer does not work, or was used since:
            /// a store does not judge.
            insert_takes_its_issuer_as_it_is;
            /// Checks that an existing key is a conflict, even if the issuer condition does not
            /// hold.
            insert_says_conflict_before_its_issuer;
            /// Checks that `find` returns ended records like live ones.
            find_answers_dead_rows;
            /// Checks that `find` returns `None` for an absent record, not an error.
            find_answers_none_for_the_absent;
        }
        issued {
            /// Checks that under a limit, a bound token counts only with the live tokens bound to
            /// its issuer, of any owner.
            limit_of_bound_tokens_is_of_one_issuer;
            /// Checks that under a limit, a token that is bound to no issuer counts only with those
            /// of its owner that are bound to no issuer either.
            limit_of_an_owner_leaves_out_what_is_bound;
            /// Checks that a list by issuer has all tokens it issued, bound or independent, live or
            /// ended, under every order.
            list_filters_by_issuer;
            /// Checks that a chain has all tokens that its token is bound to, nearest first, each
            /// complete.
            a_chain_goes_up_to_what_is_bound_to_none;
            /// Checks that an independent token ends a chain, which excludes its issuer.
            a_chain_ends_at_an_independent_token;
            /// Checks that an absent issuer ends a chain.
            a_chain_ends_at_what_is_missing;
            /// Checks that a chain has at most four issuers.
            a_chain_ends_at_the_fourth_issuer;
            /// Checks that a chain has every change that this store made to an issuer.
            a_chain_shows_what_was_changed;
            /// Checks that all tokens that are bound to the issuer are revoked, also successors and
            /// ended ones. Independent tokens and those further down the chain are not.
            revoke_issued_by_takes_what_is_bound;
            /// Checks that one call revokes all bound tokens, even if there are more than one step
            /// takes.
            revoke_issued_by_takes_more_than_one_step;
        }
        recent {
            /// Checks that `find_recent` returns every record that this store inserted, even if the
            /// key was read before the insert.
            find_recent_shows_what_was_inserted;
            /// Checks that `find_recent` returns every change that this store made to a token or a
            /// group.
            find_recent_shows_what_was_changed;
            /// Checks that `find_durable` returns the same record as `find`.
            find_durable_shows_what_find_does;
        }
        list {
            /// Checks that a list has records of its project only.
            list_stays_in_its_project;
            /// Checks that a list has complete records, as `find` returns them.
            list_answers_whole_records;
            /// Checks that a list filters by the exact owner: neither case nor accents are ignored.
            list_filters_by_owner;
            /// Checks that a list filters by each status and set of statuses, just before, at and
            /// just after each time that they depend on.
            list_filters_by_status;
            /// Checks that a list searches names in any case, in any alphabet.
            list_filters_by_name;
            /// Checks that wildcards of SQL, shells and regular expressions match only themselves
            /// in a search.
            list_takes_wildcards_as_they_are;
            /// Checks that a list by expiry has the tokens that expire strictly before a time, and
            /// none that never expire.
            list_filters_by_expiry;
            /// Checks that a list by last use has the tokens last used strictly before a time, and
            /// unused ones created strictly before it.
            list_filters_by_last_use;
            /// Checks that a listed record passes all filters of the query.
            list_wants_all_its_filters;
            /// Checks that a list is sorted by time of creation, in both directions.
            list_orders_by_creation;
            /// Checks that a list is sorted by folded name, compared by code point, in both
            /// directions.
            list_orders_by_name;
            /// Checks that a list is sorted by expiry, in both directions. Tokens that never expire
            /// sort after every time.
            list_orders_by_expiry;
            /// Checks that records that are equal under the order are sorted by id, in the same
            /// direction.
            list_breaks_ties_by_id;
        }
        page {
            /// Checks that the pages of a list have each record once, under every order, also with
            /// equal sort values.
            pages_hold_each_row_once;
            /// Checks that records that appear or disappear between two pages neither repeat nor
            /// hide another record.
            pages_stay_stable_while_rows_come_and_go;
            /// Checks that a cursor is a position in the order, and works without a record there.
            a_cursor_is_a_place_without_its_row;
            /// Checks that `next` is `Some` exactly if more records follow.
            next_is_there_just_where_more_follow;
            /// Checks that a page has at most as many records as requested.
            a_page_holds_no_more_than_asked;
            /// Checks that a cursor of another order fails with
            /// [`Other`](crate::store::StoreErrorKind::Other).
            a_cursor_of_another_order_is_refused;
        }
        count {
            /// Checks that a count includes records of its project only.
            count_stays_in_its_project;
            /// Checks that a count filters by owner.
            count_filters_by_owner;
            /// Checks that a count filters by key number, the first character of the id.
            count_filters_by_key_number;
            /// Checks that a count filters by each status and set of statuses, just before, at and
            /// just after each time that they depend on.
            count_filters_by_status;
        }
        change {
            /// Checks that each change sets its own columns only, in the returned and in the stored
            /// record.
            update_makes_each_change;
            /// Checks that each change raises the version by one.
            update_raises_the_version;
            /// Checks that an update of another version is a conflict and leaves the record
            /// unchanged.
            update_needs_the_expected_version;
            /// Checks that an update of an absent record returns `None` and creates no record.
            update_answers_none_for_the_absent;
            /// Checks that a revoked token takes changes like any other and stays revoked.
            update_leaves_a_revoked_token_revoked;
            /// Checks that no change moves the last use, even if it was recorded after the caller
            /// read the record.
            update_leaves_the_last_use;
        }
        revoke {
            /// Checks that a revocation sets time, actor and reason, and apart from the version
            /// nothing else.
            revoke_writes_time_actor_and_reason;
            /// Checks that a revocation raises the version by one.
            revoke_raises_the_version;
            /// Checks that the first revocation wins: a second call returns the time, actor and
            /// reason of the first.
            the_first_revocation_stays;
            /// Checks that a second revocation does not raise the version.
            a_second_revoke_leaves_the_version;
            /// Checks that a revocation of an absent record returns `None` and creates no record.
            revoke_answers_none_for_the_absent;
            /// Checks that tokens that ended in another way are revoked too.
            revoke_takes_dead_tokens;
        }
        group {
            /// Checks that all tokens of an owner are revoked, and no others.
            a_group_is_an_owner;
            /// Checks that all tokens of a chain of rotations are revoked, and no others.
            a_group_is_a_family;
            /// Checks that all tokens created strictly before a time are revoked, and no others.
            a_group_is_what_was_created_before;
            /// Checks that all tokens of a key number are revoked, and no others.
            a_group_is_a_key_number;
            /// Checks that the revocation of a group leaves other projects unchanged.
            a_group_stays_in_its_project;
            /// Checks that one call revokes all tokens of an owner or family, even if there are
            /// more than one step takes.
            owner_and_family_are_revoked_in_one_call;
            /// Checks that the revocation of an owner or family reaches every token that can still
            /// work: live ones, those in their grace period, and those that ended within a day.
            owner_and_family_take_all_that_can_still_work;
            /// Checks that the count of a group is the number of records that the call revoked.
            a_group_counts_its_rows;
            /// Checks that a batch revokes at most `most` records, and at least one if any is left.
            revoke_batch_revokes_no_more_than_asked;
            /// Checks that the count of a batch is the number of records that it revoked.
            revoke_batch_counts_its_rows;
            /// Checks that a batch is done exactly if no record is left, also if it was full.
            revoke_batch_is_done_when_none_is_left;
            /// Checks that a batch also revokes tokens that ended in another way.
            revoke_batch_takes_dead_tokens;
            /// Checks that each record of a group takes the revocation and a new version, and no
            /// other change.
            a_group_writes_as_revoke_does;
            /// Checks that each record of a group gets a version one higher.
            a_group_raises_the_version;
            /// Checks that revoked records of a group keep their revocation and version.
            a_group_leaves_the_revoked;
        }
        rotate {
            /// Checks that a rotation inserts the successor, links the old token to it, sets the
            /// grace period and returns the old token.
            rotate_links_both;
            /// Checks that every column of the successor is stored as it was given.
            rotate_keeps_every_column_of_the_successor;
            /// Checks that a rotation raises the version of the old token by one.
            rotate_raises_the_version;
            /// Checks that a rotation of another version is a conflict.
            rotate_needs_the_expected_version;
            /// Checks that a rotation of a revoked token is a conflict.
            rotate_refuses_a_revoked_token;
            /// Checks that tokens that do not work, such as expired or disabled ones, rotate: a
            /// store does not judge.
            rotate_takes_tokens_that_do_not_work;
            /// Checks that a rotation is a conflict if the successor's key exists, and leaves that
            /// record unchanged.
            rotate_refuses_a_successor_that_is_there;
            /// Checks that a successor in another project is a conflict and is not inserted.
            rotate_stays_in_its_project;
            /// Checks that a rotation of an absent record returns `None` and inserts no successor.
            rotate_answers_none_for_the_absent;
            /// Checks that a token rotates only after the grace period of its predecessor, even if
            /// that is disabled.
            rotate_waits_for_the_grace_of_its_predecessor;
            /// Checks that a rotation needs the issuer of its condition: existing, of the judged
            /// version and not revoked. It may be the old token itself.
            rotate_needs_its_issuer;
            /// Checks that a refused rotation changes no record and inserts none.
            a_refused_rotation_changes_nothing;
        }
        retry {
            /// Checks that a token with a successor does not rotate for another request, or without
            /// a request id.
            rotate_refuses_a_second_successor;
            /// Checks that a rotation without a request id is not taken for a repeat of another one
            /// without.
            two_rotations_without_a_request_are_no_retry;
            /// Checks that a repeat replaces the earlier successor while that waits to be
            /// confirmed.
            a_retry_takes_the_place_of_the_first;
            /// Checks that a repeat revokes the earlier successor as superseded, with the time and
            /// actor of the new one.
            a_retry_revokes_the_first_successor;
            /// Checks that a repeat after the successor was confirmed is a conflict.
            a_confirmed_successor_ends_retries;
            /// Checks that a repeat after the successor was revoked is a conflict.
            a_revoked_successor_ends_retries;
            /// Checks that a repeat after the successor was changed is a conflict, because it would
            /// undo the change.
            a_changed_successor_ends_retries;
            /// Checks that a repeat more than 12 hours after the successor ended is a conflict,
            /// because its group may have been revoked without it.
            a_successor_that_ended_long_ago_ends_retries;
            /// Checks that a repeat succeeds after the grace period of the old token, which may be
            /// zero.
            a_retry_is_done_after_the_grace;
            /// Checks that a repeat after the old token has expired is a conflict.
            an_expired_token_ends_retries;
            /// Checks that a repeat after the old token was disabled is a conflict.
            a_disabled_token_ends_retries;
        }
        touch {
            /// Checks that a later touch moves the last use.
            touch_moves_forwards;
            /// Checks that an earlier touch does not move the last use.
            touch_never_moves_backwards;
            /// Checks that the latest of several touches of one token in a batch counts, in any
            /// order.
            touch_takes_the_latest_of_a_batch;
            /// Checks that the address and client of a use are recorded with its time, and change
            /// only with it.
            touch_writes_where_a_use_came_from;
            /// Checks that unknown keys are ignored: they are no error, create no record, and the
            /// others are touched.
            touch_ignores_unknown_tokens;
            /// Checks that a touch changes only the columns of the last use.
            touch_changes_no_other_column;
            /// Checks that a touch does not raise the version.
            touch_leaves_the_version;
            /// Checks that a touch returns the number of records whose last use moved.
            touch_counts_the_rows_it_moved;
            /// Checks that ended tokens are touched like live ones.
            touch_takes_dead_tokens;
            /// Checks that a touch of a revoked token leaves it revoked.
            touch_leaves_a_revoked_token_revoked;
        }
        races {
            /// Checks that if inserts of one key race, one succeeds, and the stored record is its
            /// own.
            one_insert_of_a_key_wins;
            /// Checks that racing inserts do not exceed the owner's limit.
            inserts_at_once_keep_the_limit;
            /// Checks that if updates of one version race, one succeeds.
            one_update_of_a_version_wins;
            /// Checks that if revocations of one token race, one counts, and every call returns
            /// that one.
            one_revoke_at_once_wins;
            /// Checks that if rotations of one token race, one succeeds, and only its successor
            /// exists.
            one_rotation_at_once_wins;
            /// Checks that if a revocation and a rotation race, both succeed, or the rotation is
            /// refused and leaves no successor.
            revoke_and_rotate_come_one_by_one;
            /// Checks that a rotation that races the revocation of its owner or family leaves no
            /// live token.
            no_rotation_slips_past_a_group;
            /// Checks that no insert takes effect after the revocation of its issuer is
            /// acknowledged.
            no_insert_slips_past_the_revocation_of_its_issuer;
            /// Checks that no rotation takes effect after the revocation of its issuer is
            /// acknowledged.
            no_rotation_slips_past_the_revocation_of_its_issuer;
            /// Checks that a touch and a revocation that race both take effect.
            touch_and_revoke_at_once_both_hold;
            /// Checks that a touch and a renaming that race both take effect.
            touch_and_rename_at_once_both_hold;
            /// Checks that the latest of several racing touches counts.
            the_latest_touch_at_once_stays;
        }
        dropped {
            /// Checks that a rotation whose future is dropped midway takes effect as a whole or not
            /// at all.
            a_dropped_rotation_is_whole_or_nothing;
            /// Checks that revoking an owner can be repeated after its future is dropped midway,
            /// and then reaches all.
            a_dropped_revoke_owner_can_be_repeated;
        }
    }
}
