//! Mutants of the SQL of the SQLite store. Each one replaces a piece of SQL, and breaks one law.
//! The law of the conformance kit must find it.

use core::pin::Pin;
use core::time::Duration;

use super::handle::SqliteStore;
use crate::adapters::sql::mutation::Mutation;
use crate::conformance::{self, Calls, Report, Violation};

type Law<'s> = Pin<Box<dyn Future<Output = Result<(), Violation>> + Send + 's>>;

struct Mutant {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    law: &'static str,
    run: for<'s> fn(&'s SqliteStore) -> Law<'s>,
}

macro_rules! mutants {
    ($($name:literal: $from:literal => $to:literal, $law:ident;)+) => {
        const MUTANTS: &[Mutant] = &[$(Mutant {
            name: $name,
            from: $from,
            to: $to,
            law: stringify!($law),
            run: {
                fn run(store: &SqliteStore) -> Law<'_> {
                    Box::pin(conformance::$law(store))
                }
                run
            },
        }),+];
    };
}

mutants! {
    "insert replaces": "INSERT INTO keyfob_tokens" => "INSERT OR REPLACE INTO keyfob_tokens", insert_never_replaces;
    "insert ignores": "INSERT INTO keyfob_tokens" => "INSERT OR IGNORE INTO keyfob_tokens", insert_never_replaces;
    "limit is asked before the key": "EXISTS (SELECT 1 FROM keyfob_tokens WHERE project" =>
        "1 = 0 AND EXISTS (SELECT 1 FROM keyfob_tokens WHERE project", insert_says_conflict_before_the_limit;
    "limit allows one more": ") AS live) < " => ") AS live) <= ", limit_counts_live_tokens;
    "limit counts bound tokens": " AND (bound IS NULL OR bound = 0)" => "",
        limit_of_an_owner_leaves_out_what_is_bound;
    "limit of a bound token counts independent ones": " AND bound = 1 AND issuer = " => " AND issuer = ",
        limit_of_bound_tokens_is_of_one_issuer;
    "ends at the time still counts": "coalesce(expires_at, 253402300800000)) > " =>
        "coalesce(expires_at, 253402300800000)) >= ", limit_ignores_dead_tokens;
    "end of grace is no end": "min(coalesce(grace_until, 253402300800000)" => "min(253402300800000",
        limit_ignores_dead_tokens;
    "lapse is no end": "coalesce(confirm_by, 253402300800000)" => "253402300800000", limit_ignores_dead_tokens;
    "expiry is no end": "coalesce(expires_at, 253402300800000)" => "253402300800000", limit_ignores_dead_tokens;
    "revoked tokens count": " AND revoked_at IS NULL AND min(" => " AND min(", limit_ignores_dead_tokens;
    "owner ignores case": " AND owner = $" => " AND owner COLLATE NOCASE = $", list_filters_by_owner;
    "owner is ignored": " AND owner = $" => " AND '' <> $", limit_is_of_one_owner_in_one_project;
    "find ignores the project": " FROM keyfob_tokens WHERE project = $1 AND id = $2" =>
        " FROM keyfob_tokens WHERE $1 <> '' AND id = $2", find_answers_none_for_the_absent;
    "find ignores case": " FROM keyfob_tokens WHERE project = $1 AND id = $2" =>
        " FROM keyfob_tokens WHERE project = $1 AND id COLLATE NOCASE = $2", ids_differ_by_case;

    "rename keeps the folded name": ", name_folded = $2" => ", name_folded = coalesce(name_folded, $2)",
        list_finds_a_renamed_token;
    "enable does nothing": "disabled_at = NULL, disabled_by = NULL" => "disabled_at = disabled_at",
        update_makes_each_change;
    "confirm does nothing": "confirm_by = NULL" => "confirm_by = confirm_by", update_makes_each_change;
    "narrow keeps the addresses": ", addresses = $2" => ", addresses = coalesce(addresses, $2)",
        update_makes_each_change;
    "narrow keeps the expiry": ", expires_at = $3" => ", expires_at = coalesce(expires_at, $3)",
        update_makes_each_change;
    "update keeps the version": "THEN version + 1 ELSE version END WHERE" => "THEN version ELSE version END WHERE",
        update_raises_the_version;
    "update raises the version by two": "THEN version + 1 ELSE" => "THEN version + 2 ELSE", update_raises_the_version;
    "update takes any version": " AND version = $" => " AND 0 <> 1 + $", update_needs_the_expected_version;
    "update takes an older version": " AND version = $" => " AND version >= $", update_needs_the_expected_version;
    "update takes a later version": " AND version = $" => " AND version <= $", update_needs_the_expected_version;

    "second revocation replaces the time": "revoked_at = coalesce(revoked_at, $1)" => "revoked_at = $1",
        the_first_revocation_stays;
    "second revocation replaces the actor": "revoked_by = coalesce(revoked_by, $2)" => "revoked_by = $2",
        the_first_revocation_stays;
    "second revocation replaces the reason": "revoked_reason = coalesce(revoked_reason, $3)" =>
        "revoked_reason = $3", the_first_revocation_stays;
    "second revocation raises the version": "CASE WHEN revoked_at IS NULL AND version <" => "CASE WHEN version <",
        a_second_revoke_leaves_the_version;
    "revoke keeps the version": "CASE WHEN revoked_at IS NULL AND version <" => "CASE WHEN 1 = 0 AND version <",
        revoke_raises_the_version;

    "group keeps the version": "revoked_reason = $3, version = CASE WHEN version < 9223372036854775807 THEN version + 1" =>
        "revoked_reason = $3, version = CASE WHEN version < 9223372036854775807 THEN version",
        a_group_raises_the_version;
    "batch takes the revoked": " AND revoked_at IS NULL LIMIT" => " LIMIT", a_group_leaves_the_revoked;
    "batch takes one more": " AND revoked_at IS NULL LIMIT $" => " AND revoked_at IS NULL LIMIT 1 + $",
        revoke_batch_revokes_no_more_than_asked;
    "batch is done in the wrong case": "SELECT NOT EXISTS (" => "SELECT EXISTS (",
        revoke_batch_is_done_when_none_is_left;
    "family is the origin": " AND family = $" => " AND coalesce(rotated_from, family) = $", a_group_is_a_family;
    "created at the time counts": " AND created_at < $" => " AND created_at <= $", a_group_is_what_was_created_before;
    "key number ignores case": " AND id >= $" => " AND id COLLATE NOCASE >= $", count_filters_by_key_number;
    "key number has no end": " AND id < $" => " AND '' < $", count_filters_by_key_number;

    "rotation keeps the version": "grace_until = $2, version = CASE WHEN version < 9223372036854775807 THEN version + 1" =>
        "grace_until = $2, version = CASE WHEN version < 9223372036854775807 THEN version",
        rotate_raises_the_version;
    "rotation keeps the grace": "grace_until = $2, version" => "grace_until = coalesce(grace_until, $2), version",
        a_retry_takes_the_place_of_the_first;
    "rotation keeps the link": "SET rotated_to = $1," => "SET rotated_to = coalesce(rotated_to, $1),",
        a_retry_takes_the_place_of_the_first;

    "touch goes back": "last_used_at < $1)" => "last_used_at <> $1)", touch_never_moves_backwards;
    "touch takes only used tokens": "(last_used_at IS NULL OR last_used_at < $1)" => "last_used_at < $1",
        touch_takes_dead_tokens;
    "touch takes only unused tokens": "(last_used_at IS NULL OR last_used_at < $1)" => "last_used_at IS NULL",
        touch_moves_forwards;
    "touch counts equal times": "last_used_at < $1)" => "last_used_at <= $1)", touch_counts_the_rows_it_moved;
    "touch keeps the address": "last_used_address = $4" => "last_used_address = coalesce(last_used_address, $4)",
        touch_writes_where_a_use_came_from;
    "touch keeps the client": "last_used_client = $5" => "last_used_client = coalesce(last_used_client, $5)",
        touch_writes_where_a_use_came_from;
    "touch ignores the project": "WHERE project = $2 AND id = $3" => "WHERE $2 <> '' AND id = $3",
        one_id_in_two_projects_is_two_tokens;

    "list by name is not folded": "(name_folded, $" => "(name, $", list_filters_by_name;
    "list by issuer hides independent tokens": " AND issuer = $" => " AND bound = 1 AND issuer = $",
        list_filters_by_issuer;
    "list by expiry includes the time": " AND expires_order < $" => " AND expires_order <= $", list_filters_by_expiry;
    "list by last use skips the unused": "coalesce(last_used_at, created_at) < " => "last_used_at < ",
        list_filters_by_last_use;
    "list by creation descends": "ORDER BY created_at," => "ORDER BY created_at DESC,", list_orders_by_creation;
    "list by name ignores accents": "ORDER BY name_folded," => "ORDER BY substr(name_folded, 1, 1),",
        list_orders_by_name;
    "list by expiry forgets never": "ORDER BY expires_order" => "ORDER BY expires_at", list_orders_by_expiry;
    "ties ascend always": ", id DESC LIMIT" => ", id LIMIT", list_breaks_ties_by_id;
    "pages repeat their last row": ", id) > (" => ", id) >= (", pages_hold_each_row_once;
    "pages skip ties": "(name_folded, id) > ($" => "(name_folded, '') > ($", pages_hold_each_row_once;
    "status ends late": "WHEN expires_at <= $" => "WHEN expires_at < $", list_filters_by_status;
    "disabled comes before expired": "WHEN revoked_at IS NOT NULL THEN 'revoked'" =>
        "WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN disabled_at IS NOT NULL THEN 'disabled'",
        count_filters_by_status;
    "not before is ignored": "THEN 'not_yet_valid'" => "THEN 'active'", count_filters_by_status;

    "projects start at the cursor": "WHERE project > $1" => "WHERE project >= $1",
        projects_start_behind_the_one_named;
    "projects jump to the last": "SELECT min(project) FROM keyfob_tokens WHERE project > next.project" =>
        "SELECT max(project) FROM keyfob_tokens WHERE project > next.project", projects_names_all_that_have_tokens;
    "purge takes what was revoked just then": "(revoked_at < $" => "(revoked_at <= $",
        purge_leaves_what_ended_at_the_time;
    "purge takes the end of grace": "OR grace_until < $" => "OR grace_until <= $", purge_leaves_what_ended_at_the_time;
    "purge forgets the lapsed": "OR confirm_by < $" => "OR NULL < $", purge_deletes_each_kind_of_end;
    "purge forgets the revoked": "(revoked_at < $" => "(NULL < $", purge_deletes_each_kind_of_end;
    "purge waits for all ends": " OR expires_at < $" => " AND expires_at < $", purge_deletes_each_kind_of_end;
    "acknowledgement goes back": "CASE WHEN notice_lead <= $" => "CASE WHEN notice_lead > $",
        acknowledge_never_goes_back;
    "acknowledgement keeps the lease": "notice_lease_until = NULL, notice_lead" =>
        "notice_lease_until = notice_lease_until, notice_lead", acknowledge_sets_the_lead_and_ends_the_lease;
    "lease is not counted": "THEN notice_leases + 1" => "THEN notice_leases", claim_writes_the_lease;
    "claim takes a lease": " AND (notice_lease_until IS NULL OR notice_lease_until <= $" =>
        " AND (notice_lease_until IS NULL OR 0 <= $", claim_respects_a_lease;
    "claim waits a millisecond": "OR notice_lease_until <= $" => "OR notice_lease_until < $",
        claim_takes_over_when_a_lease_ends;
    "claim takes the latest": "ORDER BY expires_order, id LIMIT" => "ORDER BY expires_order DESC, id LIMIT",
        claim_takes_the_soonest_first;
    "claim takes the rotated": " AND rotated_to IS NULL AND expires_at" => " AND expires_at",
        claim_takes_just_what_is_due;
    "claim takes the unconfirmed": " AND confirm_by IS NULL AND rotated_to" => " AND rotated_to",
        claim_takes_just_what_is_due;
    "claim repeats a lead": "OR notice_lead > $" => "OR notice_lead >= $", claim_takes_just_what_is_due;
    "ended issuers have a record": "WHERE NOT EXISTS (SELECT 1 FROM (SELECT" => "WHERE EXISTS (SELECT 1 FROM (SELECT",
        ended_issuers_are_named;
    "ended issuers of independent tokens": " AND bound = 1 AND revoked_at" => " AND issuer IS NOT NULL AND revoked_at",
        ended_issuers_have_something_left;

    "chain is one too short": "chain.depth < 4" => "chain.depth < 3", a_chain_ends_at_the_fourth_issuer;
    "chain is upside down": "FROM chain ORDER BY depth" => "FROM chain ORDER BY depth DESC",
        a_chain_goes_up_to_what_is_bound_to_none;
    "import key is half read": "WHERE import_key = $1" => "WHERE substr(import_key, 1, 31) = substr($1, 1, 31)",
        find_imported_answers_none_for_the_absent;
    "import replaces a token": "WHERE true ON CONFLICT DO NOTHING" =>
        "WHERE true ON CONFLICT DO UPDATE SET name = excluded.name", import_never_replaces_a_token;
}

/// The time after which a law counts as broken, because a mutant can make a store loop.
const LIMIT: Duration = Duration::from_secs(120);

async fn opened() -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (SqliteStore::open(folder.path().join("tokens.db")).await.unwrap(), folder)
}

/// Returns the names of all laws that find a mutant, for the message about a mutant that its law
/// does not find.
async fn found_by(mutant: &Mutant) -> Vec<&'static str> {
    let (store, _folder) = opened().await;
    let reports = async {
        [
            conformance::token_store(&store).await,
            conformance::maintenance(&store).await,
            conformance::import(&store).await,
            conformance::rules(&store).await,
        ]
    };
    let (reports, _) = Mutation::run(mutant.from, mutant.to, reports).await;
    reports.iter().flat_map(|report: &Report| &report.failed).map(|violation| violation.case).collect()
}

#[tokio::test]
async fn each_mutant_is_found_by_its_law() {
    let (store, _folder) = opened().await;
    let mut wrong = Vec::new();
    for mutant in MUTANTS {
        if let Err(violation) = (mutant.run)(&store).await {
            wrong.push(format!("{}: the law fails without the mutant: {violation}", mutant.name));
        }
        // A new file, because a mutant may leave rows that other laws find.
        let (store, _folder) = opened().await;
        let calls = Calls::default();
        let law = conformance::within_limit(mutant.law, LIMIT, &calls, (mutant.run)(&store));
        let (result, changed) = Mutation::run(mutant.from, mutant.to, law).await;
        if changed == 0 {
            wrong.push(format!("{}: no statement of {} has the text {:?}", mutant.name, mutant.law, mutant.from));
        } else if result.is_ok() {
            let found_by = found_by(mutant).await;
            wrong.push(format!("{}: {} does not find it, but {found_by:?} do", mutant.name, mutant.law));
        }
    }
    assert!(wrong.is_empty(), "{} of {} mutants:\n{}", wrong.len(), MUTANTS.len(), wrong.join("\n"));
}
