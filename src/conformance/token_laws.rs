//! The laws of [`TokenStore`] for inserts and reads, grouped by the file that contains their test
//! cases, and the function that runs all laws of [`TokenStore`].

use super::law::laws;
use super::verdict::Report;
use super::{change_laws, count, insert, issued, list, longest, page, race_laws, recent};
use crate::store::contract::TokenStore;

/// Passes the laws for inserts and reads to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyfob_token_laws {
    ([$($macro:tt)+] $($head:tt)*) => {
        $($macro)+! { $($head)* {
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
            /// Checks that an insert under an existing key fails with `Conflict`, even if the limit
            /// has no room.
            insert_says_conflict_before_the_limit;
            /// Checks that `find` returns the record of a token also after the token has ended.
            find_answers_dead_rows;
            /// Checks that `find` returns `None`, not an error, if there is no record with the key.
            find_answers_none_for_the_absent;
        }
        longest {
            /// Checks that an insert keeps texts of the maximum length, of characters with four
            /// bytes.
            insert_keeps_the_longest_texts;
            /// Checks that changes, last uses and revocations keep texts of the maximum length, of
            /// characters with four bytes.
            changes_keep_the_longest_texts;
            /// Checks that a list finds and sorts the longest names, in bytes and in characters.
            lists_find_the_longest_names;
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
            /// Checks that a chain shows every change that this store made to an issuer, also in
            /// `find_held`.
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
            /// Checks that `find_recent` and `find_held` show every change that this store made to
            /// a token, and every revocation of a group that contains the token.
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
            /// Checks that a list by a part of the name finds a renamed token by its new name only.
            list_finds_a_renamed_token;
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
        } }
    };
}

__keyfob_token_laws! { [laws] reads(TokenStore) as ErasedTokens in TokenLaws }

/// Tests a store against all laws of [`TokenStore`].
pub async fn token_store<S: TokenStore>(store: &S) -> Report {
    let mut report = Report::default();
    reads(store, &mut report).await;
    change_laws::changes(store, &mut report).await;
    race_laws::races_of(store, &mut report).await;
    report
}
