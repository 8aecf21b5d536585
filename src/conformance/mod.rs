//! The laws of the store contract, as functions that the tests of a store call. Feature `conformance`.
//!
//! One function per law, named after it, and three that run all of a trait's: [`token_store`], [`maintenance`] and
//! [`import`]. A host that writes a store for its own database adds one test:
//!
//! ```
//! use keyfob::{MemoryStore, conformance};
//!
//! # async fn example() {
//! let store = MemoryStore::new(); // the store to be tried
//! conformance::token_store(&store).await.assert();
//! conformance::maintenance(&store).await.assert();
//! conformance::import(&store).await.assert(); // where it imports
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
//! ```
//!
//! - **A shared database is safe.** Cases work in projects with random ids and for owners of random names; they leave
//!   their rows behind and touch no others.
//! - **Cases stand alone.** Each tries one law, and uses other calls just as far as it cannot do without: a store that
//!   breaks one law fails the case of that name. The order does not matter.
//! - **Any executor will do.** The races are futures of one task, polled together; over a pool of connections they run
//!   at once. Run the kit with a pool of several, and with one of one.
//! - Rows are compared with what [`TokenRecord::apply`](crate::TokenRecord::apply) and its kin make of them, lists
//!   with [`ListQuery::matches`](crate::store::ListQuery::matches).
//!
//! A call that fails where it must not is a violation, also where the error is
//! [`Unavailable`](crate::store::StoreErrorKind::Unavailable): a store that loses a race inside its engine tries again by itself.
//! What the kit cannot see is whether what was acknowledged survives a crash.

mod change;
mod count;
mod dropped;
mod group;
// In a module of its own name there would be two `import`s: this one holds the cases, the function runs them.
#[path = "import.rs"]
mod imported;
mod insert;
mod list;
mod notice;
mod page;
mod projects;
mod purge;
mod races;
mod recent;
mod report;
mod revoke;
mod rotate;
mod sample;
mod together;
mod touch;

pub use report::{Report, Violation};

use core::future::Future;
use core::pin::Pin;

use self::report::Verdict;
use crate::store::contract::TokenStore;
use crate::store::erased::{ImportingObject, MaintainedObject, StoreObject};
use crate::store::import::ImportStore;
use crate::store::maintenance::StoreMaintenance;

/// For one trait: the function that runs its laws, and one function for each law. Each is given by the file that tries
/// it, and by the sentence that it holds a store to. The cases are compiled once, here, for an object: not in the tests of each store.
macro_rules! laws {
    (
        $(#[$docs:meta])*
        $runner:ident $store:tt as $object:ident {
            $($file:ident { $($(#[$law:meta])+ $case:ident;)+ })+
        }
    ) => {
        laws!(@runner $store $(#[$docs])* $runner { $($($case)+)+ });
        $($(laws!(@case $store $object $file $(#[$law])+ $case);)+)+
    };
    (@runner ($($store:tt)+) $(#[$docs:meta])* $runner:ident { $($case:ident)+ }) => {
        $(#[$docs])*
        pub async fn $runner<S: $($store)+>(store: &S) -> Report {
            let mut report = Report::default();
            $(report.add(stringify!($case), $case(store).await);)+
            report
        }
    };
    (@case ($($store:tt)+) $object:ident $file:ident $(#[$law:meta])+ $case:ident) => {
        $(#[$law])+
        ///
        /// # Errors
        /// [`Violation`] where the store breaks this law.
        pub async fn $case<S: $($store)+>(store: &S) -> Result<(), Violation> {
            fn tried<'s>(store: &'s dyn $object) -> Pin<Box<dyn Future<Output = Verdict> + Send + 's>> {
                Box::pin(async move { $file::$case(&store).await })
            }
            tried(store).await.map_err(|broken| broken.of(stringify!($case)))
        }
    };
}

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
            /// A token is not rotated while its predecessor is in grace: until the end of it, also if that one is disabled.
            rotate_waits_for_the_grace_of_its_predecessor;
            /// A retry after the grace of the old token is done: with a grace of zero it always comes after it.
            a_retry_is_done_after_the_grace;
            /// A retry after the old token has expired is a conflict.
            an_expired_token_ends_retries;
            /// A retry after the old token was disabled is a conflict.
            a_disabled_token_ends_retries;
            /// The issuing token must be there, of the version that was judged, and not revoked; it may be the old token itself.
            rotate_needs_its_issuer;
            /// A rotation that is refused, for whichever reason, changes no row and leaves none.
            a_refused_rotation_changes_nothing;
        }
        touch {
            /// A later touch moves the last use.
            touch_moves_forwards;
            /// An earlier touch does not.
            touch_never_moves_backwards;
            /// Of several touches of one token in a batch the latest stays, in whatever order they come.
            touch_takes_the_latest_of_a_batch;
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
            acknowledge_sets_the_stage_and_ends_the_lease;
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

laws! {
    /// Runs every law of [`ImportStore`]. The store must be a [`TokenStore`] and a [`StoreMaintenance`] as well, to change
    /// and purge what was imported.
    import(TokenStore + StoreMaintenance + ImportStore) as ImportingObject {
        imported {
            /// Every column comes back as it was given, by the import key and by the token's own.
            import_keeps_every_column;
            /// One outcome for each row, in their order; what exists keeps no other row of the batch out.
            import_answers_each_row_in_order;
            /// A row whose import key or own key stands earlier in the batch exists.
            import_knows_the_rows_before;
            /// Dead rows are found as live ones are.
            find_imported_answers_dead_rows;
            /// An import key that nobody imported is `None`, not an error.
            find_imported_answers_none_for_the_absent;
            /// A row whose import key exists, in whichever project, exists, and is not inserted.
            import_never_replaces_an_import_key;
            /// A row of which another look-up key exists, exists under the key of that row.
            import_knows_a_token_under_another_key;
            /// A row whose own key exists does so too: what is there stays as it is, and the import key unknown.
            import_never_replaces_a_token;
            /// What is found by its import key is the row as it is now.
            imported_records_are_revoked_like_others;
            /// A purged token is not found by its import key, which may be imported anew.
            a_purged_import_key_is_free;
        }
        dropped {
            /// An import whose future is dropped half-way happened whole or not at all.
            a_dropped_import_is_whole_or_nothing;
        }
        races {
            /// Of several imports under one import key at once one is done, and only its row is there.
            one_import_of_a_key_wins;
            /// Two nodes that mint with different keys do not both import one token.
            one_import_under_two_keys_at_once_wins;
        }
    }
}
