//! The laws of [`TokenStore`], each given by the file that tries it.

use super::law::laws;
use super::{change, count, dropped, group, insert, issued, list, page, races, recent, retry, revoke, rotate, touch};
use crate::store::contract::TokenStore;
use crate::store::erased::StoreObject;

laws! {
    /// Runs every law of [`TokenStore`].
    token_store(TokenStore) as StoreObject {
        insert {
            /// Insert over a live row is a conflict, and leaves the row as it is.
            insert_never_replaces;
            /// Insert over a revoked or expired row is a conflict too, and leaves the row as it is.
            insert_never_replaces_a_dead_row;
            /// Every column comes back as it was given: full or empty, odd Unicode, the first and the last time.
            insert_keeps_every_column;
            /// Ids that differ in case are of two tokens.
            ids_differ_by_case;
            /// The same id under two projects is two tokens; no call on one changes the other.
            one_id_in_two_projects_is_two_tokens;
            /// An owner who has as many live tokens as allowed gets no more: disabled, pending and not yet valid ones
            /// count, and those in their grace period. What was refused is not there.
            limit_counts_live_tokens;
            /// Tokens that are dead at the given time do not count towards the limit.
            limit_ignores_dead_tokens;
            /// Tokens of other owners, or in other projects, do not count towards the limit.
            limit_is_of_one_owner_in_one_project;
            /// The issuing token must be there, in the same project. What was refused is not there.
            insert_needs_its_issuer;
            /// A revoked issuer is refused.
            insert_refuses_a_revoked_issuer;
            /// An issuer of another version than the one that was judged is refused.
            insert_needs_the_issuers_version;
            /// Whether the issuer works is not the store's to judge, and its last use does not count.
            insert_takes_its_issuer_as_it_is;
            /// A key that exists is a conflict, whatever the issuer.
            insert_says_conflict_before_its_issuer;
            /// Find answers dead rows as it does live ones.
            find_answers_dead_rows;
            /// Find of no row is `None`, not an error.
            find_answers_none_for_the_absent;
        }
        issued {
            /// Under a limit, a bound token counts with the live ones that are bound to the same issuer, whoever owns them, and
            /// with no others.
            limit_of_bound_tokens_is_of_one_issuer;
            /// A token that is bound to none counts with those of its owner that are bound to none.
            limit_of_an_owner_leaves_out_what_is_bound;
            /// Only what the token issued, bound or not, dead or alive, under every order.
            list_filters_by_issuer;
            /// The chain of a token has the tokens that it is bound to, nearest first, each whole.
            a_chain_goes_up_to_what_is_bound_to_none;
            /// An independent token ends a chain: what issued it is not in it.
            a_chain_ends_at_an_independent_token;
            /// An issuer that is not there ends a chain.
            a_chain_ends_at_what_is_missing;
            /// No chain has more than four issuers.
            a_chain_ends_at_the_fourth_issuer;
            /// A chain has every change that this store was told to make of an issuer.
            a_chain_shows_what_was_changed;
            /// What is bound to a token is revoked, dead tokens and successors too, and nothing else: not what it issued
            /// independently, and nothing further down.
            revoke_issued_by_takes_what_is_bound;
            /// However many rows there are.
            revoke_issued_by_takes_more_than_one_step;
        }
        recent {
            /// What a verification is answered with has every row that this store was told to insert, also where the key
            /// was asked for before.
            find_recent_shows_what_was_inserted;
            /// It has every change that this store was told to make, of one token and of a group.
            find_recent_shows_what_was_changed;
            /// Of a store that keeps what it has done, the durable record is the one that find answers.
            find_durable_shows_what_find_does;
        }
        list {
            /// A list holds rows of its project only.
            list_stays_in_its_project;
            /// The records on a list are whole, as find answers them.
            list_answers_whole_records;
            /// Only the owner's, exactly: neither case nor accents are ignored.
            list_filters_by_owner;
            /// Each status and life, just before, at and just after each time that it depends on.
            list_filters_by_status;
            /// Names are searched in any case, of any alphabet.
            list_filters_by_name;
            /// What is a wildcard in SQL, in a shell or in an expression is itself in a searched name.
            list_takes_wildcards_as_they_are;
            /// Expiring strictly before a time; never-expiring ones do not.
            list_filters_by_expiry;
            /// Last used strictly before a time, or never used and created strictly before it.
            list_filters_by_last_use;
            /// All filters that are given must hold.
            list_wants_all_its_filters;
            /// By time of creation, both ways.
            list_orders_by_creation;
            /// By folded name, code point by code point, both ways.
            list_orders_by_name;
            /// By expiry, both ways; never is last, ascending.
            list_orders_by_expiry;
            /// Rows that are equal under the order come by id, in the same direction.
            list_breaks_ties_by_id;
        }
        page {
            /// Following the cursors meets each row once, under every order, also where rows tie.
            pages_hold_each_row_once;
            /// Rows that come or go between two pages make no other row appear twice or not at all.
            pages_stay_stable_while_rows_come_and_go;
            /// A cursor is a place in the order; no row need be there.
            a_cursor_is_a_place_without_its_row;
            /// `next` is there just where more rows follow.
            next_is_there_just_where_more_follow;
            /// A page holds at most as many rows as asked for.
            a_page_holds_no_more_than_asked;
            /// A cursor of another order is an error of kind [`Other`](crate::store::StoreErrorKind::Other).
            a_cursor_of_another_order_is_refused;
        }
        count {
            /// A count is of rows of its project only.
            count_stays_in_its_project;
            /// Only the owner's.
            count_filters_by_owner;
            /// Only those made with the key, whose character stands first in the id.
            count_filters_by_key_number;
            /// Each status and life, just before, at and just after each time that it depends on.
            count_filters_by_status;
        }
        change {
            /// Each change sets what it names and nothing else, in the answer and in the row.
            update_makes_each_change;
            /// Each change raises the version by one.
            update_raises_the_version;
            /// Another version than the expected one is a conflict, and the row stays as it is.
            update_needs_the_expected_version;
            /// Update of no row is `None`, and makes none.
            update_answers_none_for_the_absent;
            /// A revoked row takes changes as any other, and stays revoked.
            update_leaves_a_revoked_token_revoked;
            /// No change moves the last use, though it was written after the caller read the row.
            update_leaves_the_last_use;
        }
        revoke {
            /// Revoke writes time, actor and reason, and nothing else but the version.
            revoke_writes_time_actor_and_reason;
            /// Revoke raises the version by one.
            revoke_raises_the_version;
            /// The first caller wins; a second is answered the first one's time, actor and reason.
            the_first_revocation_stays;
            /// A second revoke does not raise the version.
            a_second_revoke_leaves_the_version;
            /// Revoke of no row is `None`, and makes none.
            revoke_answers_none_for_the_absent;
            /// Tokens that ended otherwise are revoked too.
            revoke_takes_dead_tokens;
        }
        group {
            /// All tokens of an owner are revoked, and no others.
            a_group_is_an_owner;
            /// All tokens of a family are revoked, and no others.
            a_group_is_a_family;
            /// All tokens created strictly before a time are revoked, and no others.
            a_group_is_what_was_created_before;
            /// All tokens of a key number are revoked, and no others.
            a_group_is_a_key_number;
            /// Revoking a group leaves other projects alone.
            a_group_stays_in_its_project;
            /// For an owner or a family one call revokes all, also if there are more rows than one step takes.
            owner_and_family_are_revoked_in_one_call;
            /// For an owner or a family every token is revoked that can still work: also a disabled, pending or not yet valid
            /// one, one in its grace period, and one that ended less than a day before.
            owner_and_family_take_all_that_can_still_work;
            /// The count of a group is that of the rows that the call revoked.
            a_group_counts_its_rows;
            /// A batch revokes at most `most` rows and at least one, until none is left.
            revoke_batch_revokes_no_more_than_asked;
            /// The count of a batch is that of the rows it revoked.
            revoke_batch_counts_its_rows;
            /// A batch is done just when it leaves none: also when it was full.
            revoke_batch_is_done_when_none_is_left;
            /// A batch takes tokens that ended otherwise too.
            revoke_batch_takes_dead_tokens;
            /// Each row takes the revocation, and nothing else but the version.
            a_group_writes_as_revoke_does;
            /// Each row's version is raised by one.
            a_group_raises_the_version;
            /// Rows that are revoked already keep their revocation and version.
            a_group_leaves_the_revoked;
        }
        rotate {
            /// The successor is there, the old token is linked to it and has its grace, and is the answer.
            rotate_links_both;
            /// Every column of the successor comes back as it was given.
            rotate_keeps_every_column_of_the_successor;
            /// Rotate raises the old token's version by one.
            rotate_raises_the_version;
            /// Another version than the expected one is a conflict.
            rotate_needs_the_expected_version;
            /// A revoked token is a conflict.
            rotate_refuses_a_revoked_token;
            /// Whether a token works is not the store's to judge: expired, disabled and pending ones rotate.
            rotate_takes_tokens_that_do_not_work;
            /// A successor whose key exists is a conflict, and what is there stays.
            rotate_refuses_a_successor_that_is_there;
            /// A successor in another project is a conflict, and is not inserted.
            rotate_stays_in_its_project;
            /// Rotate of no row is `None`, and inserts no successor.
            rotate_answers_none_for_the_absent;
            /// A token is not rotated while its predecessor is in grace: until the end of it, also if that one is disabled.
            rotate_waits_for_the_grace_of_its_predecessor;
            /// The issuing token must be there, of the version that was judged, and not revoked; it may be the old token itself.
            rotate_needs_its_issuer;
            /// A rotation that is refused, for whichever reason, changes no row and leaves none.
            a_refused_rotation_changes_nothing;
        }
        retry {
            /// A token that has a successor is a conflict for another request, and for none.
            rotate_refuses_a_second_successor;
            /// Two rotations without a request id are not one and its retry.
            two_rotations_without_a_request_are_no_retry;
            /// While the successor waits to be confirmed, the same request puts a new one in its place.
            a_retry_takes_the_place_of_the_first;
            /// The successor that lost its place is revoked as superseded, at the time and by the actor of the new one.
            a_retry_revokes_the_first_successor;
            /// A retry behind the confirmation is a conflict.
            a_confirmed_successor_ends_retries;
            /// A retry behind the revocation of the successor is a conflict.
            a_revoked_successor_ends_retries;
            /// A retry after the successor was changed by others is a conflict: it would undo the change.
            a_changed_successor_ends_retries;
            /// A retry more than 12 hours after the successor ended is a conflict: a group may have been revoked without it.
            a_successor_that_ended_long_ago_ends_retries;
            /// A retry after the grace of the old token is done: with a grace of zero it always comes after it.
            a_retry_is_done_after_the_grace;
            /// A retry after the old token has expired is a conflict.
            an_expired_token_ends_retries;
            /// A retry after the old token was disabled is a conflict.
            a_disabled_token_ends_retries;
        }
        touch {
            /// A later touch moves the last use.
            touch_moves_forwards;
            /// An earlier touch does not.
            touch_never_moves_backwards;
            /// Of several touches of one token in a batch the latest stays, in whatever order they come.
            touch_takes_the_latest_of_a_batch;
            /// Where a use came from is written with it, as far as it is told, and moves with it only.
            touch_writes_where_a_use_came_from;
            /// Tokens that are not there are no error, are not made, and keep no others from being touched.
            touch_ignores_unknown_tokens;
            /// A touch changes no column but the last use.
            touch_changes_no_other_column;
            /// A touch does not raise the version.
            touch_leaves_the_version;
            /// The answer is the number of rows whose last use moved.
            touch_counts_the_rows_it_moved;
            /// Dead tokens are touched as live ones are.
            touch_takes_dead_tokens;
            /// A touch of a revoked token leaves it revoked.
            touch_leaves_a_revoked_token_revoked;
        }
        races {
            /// Of several inserts of one key at once one is done, and the row is its own.
            one_insert_of_a_key_wins;
            /// Inserts at once do not pass the owner's limit.
            inserts_at_once_keep_the_limit;
            /// Of several updates of one version at once one is done.
            one_update_of_a_version_wins;
            /// Of several revokes at once one counts, and all callers are answered that one.
            one_revoke_at_once_wins;
            /// Of several rotations at once one is done, and only its successor is there.
            one_rotation_at_once_wins;
            /// A revoke and a rotation at once: either both are done, or the rotation is refused and left no successor.
            revoke_and_rotate_come_one_by_one;
            /// A rotation at once with revoking its owner or family leaves nothing alive.
            no_rotation_slips_past_a_group;
            /// Once the revocation of an issuer is acknowledged, no insert on its condition takes effect.
            no_insert_slips_past_the_revocation_of_its_issuer;
            /// Once the revocation of an issuer is acknowledged, no rotation on its condition takes effect.
            no_rotation_slips_past_the_revocation_of_its_issuer;
            /// A touch and a revoke at once are both kept.
            touch_and_revoke_at_once_both_hold;
            /// A touch and a rename at once are both kept.
            touch_and_rename_at_once_both_hold;
            /// Of several touches at once the latest stays.
            the_latest_touch_at_once_stays;
        }
        dropped {
            /// A rotation whose future is dropped half-way happened whole or not at all.
            a_dropped_rotation_is_whole_or_nothing;
            /// Revoking an owner, dropped half-way, can be repeated and then reaches all.
            a_dropped_revoke_owner_can_be_repeated;
        }
    }
}
