//! The faults of the broken stores. Each fault breaks one law of the store contract. The list gives
//! for each fault the case of the conformance kit that must fail.

use keyfob::conformance::{self, Violation};

use super::store::BrokenStore;

macro_rules! faults {
    ($($(#[$docs:meta])* $fault:ident => $case:ident,)+) => {
        /// A fault of a broken store, which breaks one law of the store contract.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Fault {
            $($(#[$docs])* $fault,)+
        }

        impl Fault {
            pub const ALL: &[Self] = &[$(Self::$fault),+];

            /// Returns the name of the conformance case that must fail because of this fault.
            pub fn case(self) -> &'static str {
                match self {
                    $(Self::$fault => stringify!($case)),+
                }
            }

            /// Runs the conformance case that must fail because of this fault.
            pub async fn tried(self) -> Result<(), Violation> {
                let store = BrokenStore::new(self);
                match self {
                    $(Self::$fault => Box::pin(conformance::$case(&store)).await),+
                }
            }
        }
    };
}

faults! {
    /// If a limit is given, an insert replaces a record that is neither revoked nor expired.
    InsertReplacesUnderALimit => insert_never_replaces,
    /// An insert replaces a revoked record.
    InsertReplacesRevoked => insert_never_replaces_a_dead_row,
    /// An insert replaces an expired record.
    InsertReplacesExpired => insert_never_replaces_a_dead_row,
    InsertTrimsMetadata => insert_keeps_every_column,
    InsertForgetsTheRequest => insert_keeps_every_column,
    /// An insert returns the record with the right version, but stores it with the version 1. This
    /// happens only if the record has the maximum version.
    InsertStartsAtVersionOne => insert_keeps_every_column,
    /// The store compares ids without regard to case.
    IdsIgnoreCase => ids_differ_by_case,
    IdsAreOfTheService => one_id_in_two_projects_is_two_tokens,
    UpdateIgnoresTheProject => one_id_in_two_projects_is_two_tokens,
    TouchIgnoresTheProject => one_id_in_two_projects_is_two_tokens,
    LimitCountsOnlyActive => limit_counts_live_tokens,
    /// If the limit is zero, an insert returns the right error, but the store keeps the record.
    LimitOfNoneKeepsTheRefused => limit_counts_live_tokens,
    LimitIgnoresGrace => limit_counts_live_tokens,
    LimitCountsDead => limit_ignores_dead_tokens,
    LimitCountsTheExpiredJustThen => limit_ignores_dead_tokens,
    LimitCountsAllOwners => limit_is_of_one_owner_in_one_project,
    LimitCountsAllProjects => limit_is_of_one_owner_in_one_project,
    /// An insert refuses an owner of more than 255 bytes.
    InsertRefusesWideOwners => insert_keeps_the_longest_texts,
    /// A revocation cuts off an actor of more than 255 bytes.
    RevokeCutsWideActors => changes_keep_the_longest_texts,
    /// A list finds no name if the search text has more than 255 characters.
    ListMissesWideNames => lists_find_the_longest_names,
    LimitOfBoundTokensIsOfTheOwner => limit_of_bound_tokens_is_of_one_issuer,
    LimitOfBoundTokensCountsTheIndependent => limit_of_bound_tokens_is_of_one_issuer,
    LimitOfAnOwnerCountsTheBound => limit_of_an_owner_leaves_out_what_is_bound,
    ListOfIssuedHidesIndependent => list_filters_by_issuer,
    ChainsBreakOffWhereARequestIs => a_chain_goes_up_to_what_is_bound_to_none,
    ChainsGoBeyondTheIndependent => a_chain_ends_at_an_independent_token,
    ChainsLookElsewhere => a_chain_ends_at_what_is_missing,
    ChainsStopAtThree => a_chain_ends_at_the_fourth_issuer,
    /// The store returns chains from a cache, and no change of an issuer invalidates this cache.
    ChainsKeepIssuers => a_chain_shows_what_was_changed,
    /// `find_held` returns chains from such a cache.
    HeldChainsKeepIssuers => a_chain_shows_what_was_changed,
    RevokeIssuedTakesTheIndependent => revoke_issued_by_takes_what_is_bound,
    RevokeIssuedSkipsSuccessors => revoke_issued_by_takes_what_is_bound,
    RevokeIssuedTakesOneStep => revoke_issued_by_takes_more_than_one_step,
    EndedIssuersAreNotActive => ended_issuers_are_named,
    EndedIssuersAreThere => ended_issuers_are_named,
    EndedIssuersHaveNothingLeft => ended_issuers_have_something_left,
    EndedIssuersIgnoreMost => ended_issuers_are_no_more_than_asked,
    InsertIgnoresAMissingIssuer => insert_needs_its_issuer,
    InsertFindsItsIssuerElsewhere => insert_needs_its_issuer,
    InsertTakesARevokedIssuer => insert_refuses_a_revoked_issuer,
    InsertIgnoresTheIssuersVersion => insert_needs_the_issuers_version,
    InsertJudgesItsIssuer => insert_takes_its_issuer_as_it_is,
    InsertAsksTheIssuerFirst => insert_says_conflict_before_its_issuer,
    InsertAsksTheLimitFirst => insert_says_conflict_before_the_limit,
    FindHidesLapsed => find_answers_dead_rows,
    /// If the token does not exist in the given project, `find` searches all other projects.
    FindFallsBack => find_answers_none_for_the_absent,
    /// `find_recent` uses a cache that remembers which tokens do not exist. An insert does not
    /// invalidate this cache.
    RecentKeepsAbsence => find_recent_shows_what_was_inserted,
    /// `find_recent` uses a cache that no change invalidates.
    RecentKeepsRows => find_recent_shows_what_was_changed,
    /// `find_recent` uses a cache that is invalidated by a change of a single token, but not by a
    /// change of a group.
    RecentKeepsGroups => find_recent_shows_what_was_changed,
    /// `find_held` returns rows of a cache that no change invalidates.
    HeldKeepsRows => find_recent_shows_what_was_changed,
    /// `find_durable` always returns the first result for a key, like a replica that receives no
    /// changes.
    DurableKeepsRows => find_durable_shows_what_find_does,

    /// `list` compares project ids without their last character.
    ListCutsTheProject => list_stays_in_its_project,
    ListOfAnOwnerIgnoresTheProject => list_stays_in_its_project,
    ListLeavesMetadataOut => list_answers_whole_records,
    ListOwnerIgnoresCase => list_filters_by_owner,
    ListEndsAMillisecondLate => list_filters_by_status,
    ListTakesPendingForActive => list_filters_by_status,
    ListIgnoresExcept => list_filters_by_status,
    ListFoldsAsciiOnly => list_filters_by_name,
    /// The search in names uses the name that the token had at first.
    ListForgetsRenames => list_finds_a_renamed_token,
    ListSearchIsALike => list_takes_wildcards_as_they_are,
    ListExpiresAtOrBefore => list_filters_by_expiry,
    ListNeverExpiresBefore => list_filters_by_expiry,
    ListSkipsTheUnused => list_filters_by_last_use,
    ListOwnerOrName => list_wants_all_its_filters,
    ListCreatedUnsigned => list_orders_by_creation,
    /// `list` orders names by their UTF-16 code units instead of their characters.
    ListNameByUnit => list_orders_by_name,
    ListExpiresUnsigned => list_orders_by_expiry,
    ListTiesIgnoreCase => list_breaks_ties_by_id,
    /// If the first record of the next page has the same sort key as the cursor, the next page
    /// omits this record.
    PagesSkipTies => pages_hold_each_row_once,
    /// If the record at the cursor no longer matches the query, the next page is empty.
    PagesEndWithTheirRow => pages_stay_stable_while_rows_come_and_go,
    /// If the record at the cursor no longer exists, the next page is empty.
    CursorsNeedTheirRow => a_cursor_is_a_place_without_its_row,
    NextIsAlwaysThere => next_is_there_just_where_more_follow,
    PagesHoldOneMore => a_page_holds_no_more_than_asked,
    CursorsOfAnotherOrderAreDropped => a_cursor_of_another_order_is_refused,

    CountCutsTheProject => count_stays_in_its_project,
    CountOwnerIgnoresCase => count_filters_by_owner,
    CountKeyIgnoresCase => count_filters_by_key_number,
    CountEndsAMillisecondLate => count_filters_by_status,
    CountIgnoresExcept => count_filters_by_status,

    EnableDoesNothing => update_makes_each_change,
    NarrowKeepsTheExpiryOfNever => update_makes_each_change,
    UpdateForgetsMetadata => update_makes_each_change,
    NarrowKeepsTheVersion => update_raises_the_version,
    UpdateAcceptsALaterVersion => update_needs_the_expected_version,
    UpdateOfNoneFails => update_answers_none_for_the_absent,
    EnableUnrevokes => update_leaves_a_revoked_token_revoked,
    UpdateOfRevokedDoesNotAnswer => update_leaves_a_revoked_token_revoked,
    EndGraceClearsTheLastUse => update_leaves_the_last_use,

    RevokeForgetsAReason => revoke_writes_time_actor_and_reason,
    RevokeEnables => revoke_writes_time_actor_and_reason,
    RevokeKeepsTheVersion => revoke_raises_the_version,
    /// A second revocation of a token replaces the first one if the second has the earlier time.
    RevokeTakesTheEarliest => the_first_revocation_stays,
    RevokeAgainRaisesTheVersion => a_second_revoke_leaves_the_version,
    RevokeOfNoneFails => revoke_answers_none_for_the_absent,
    RevokeSkipsExpired => revoke_takes_dead_tokens,

    GroupOwnerIgnoresCase => a_group_is_an_owner,
    GroupFamilyByOrigin => a_group_is_a_family,
    GroupCreatedAtOrBefore => a_group_is_what_was_created_before,
    GroupKeyIgnoresCase => a_group_is_a_key_number,
    GroupCutsTheProject => a_group_stays_in_its_project,
    /// A call that revokes all tokens of an owner stops after a thousand tokens.
    GroupOfAnOwnerInOneStep => owner_and_family_are_revoked_in_one_call,
    GroupSkipsTheEnded => owner_and_family_take_all_that_can_still_work,
    GroupSkipsDisabled => owner_and_family_take_all_that_can_still_work,
    /// The revocation of an owner or a family skips tokens that ended more than a minute before the
    /// time of the revocation. The law allows this only for tokens that ended more than a day
    /// before this time.
    GroupTrustsTheClock => owner_and_family_take_all_that_can_still_work,
    GroupCountsTheRevoked => a_group_counts_its_rows,
    BatchIgnoresMost => revoke_batch_revokes_no_more_than_asked,
    /// The count of a full batch includes one token too many: the token that the store reads only
    /// to find out whether the batch is the last.
    BatchCountsTheNextRow => revoke_batch_counts_its_rows,
    BatchIsDoneLate => revoke_batch_is_done_when_none_is_left,
    BatchIsDoneAtOnce => revoke_batch_is_done_when_none_is_left,
    BatchSkipsExpired => revoke_batch_takes_dead_tokens,
    GroupForgetsTheReason => a_group_writes_as_revoke_does,
    GroupKeepsTheVersion => a_group_raises_the_version,
    GroupRevokesAgain => a_group_leaves_the_revoked,

    RotateForgetsTheGrace => rotate_links_both,
    RotateLosesTheLastUse => rotate_links_both,
    RotateTrimsMetadata => rotate_keeps_every_column_of_the_successor,
    RotateKeepsTheVersion => rotate_raises_the_version,
    RotateIgnoresTheVersion => rotate_needs_the_expected_version,
    RotateTakesRevoked => rotate_refuses_a_revoked_token,
    RotateRefusesExpired => rotate_takes_tokens_that_do_not_work,
    RotateReplacesTheSuccessor => rotate_refuses_a_successor_that_is_there,
    RotateLeavesItsProject => rotate_stays_in_its_project,
    RotateOfNoneInserts => rotate_answers_none_for_the_absent,
    AnyRequestRetries => rotate_refuses_a_second_successor,
    NoRequestRetries => two_rotations_without_a_request_are_no_retry,
    RetriesConflict => a_retry_takes_the_place_of_the_first,
    RetriesLeaveTheFirst => a_retry_revokes_the_first_successor,
    RetriesRevokeAtTheGrace => a_retry_revokes_the_first_successor,
    ConfirmedRetries => a_confirmed_successor_ends_retries,
    RevokedRetries => a_revoked_successor_ends_retries,
    ChangedRetries => a_changed_successor_ends_retries,
    LongEndedRetries => a_successor_that_ended_long_ago_ends_retries,
    RetriesEndAMillisecondEarly => a_successor_that_ended_long_ago_ends_retries,
    RotateIgnoresTheGrace => rotate_waits_for_the_grace_of_its_predecessor,
    RotateWaitsAMillisecond => rotate_waits_for_the_grace_of_its_predecessor,
    RotateIgnoresADisabledGrace => rotate_waits_for_the_grace_of_its_predecessor,
    RetriesEndWithTheGrace => a_retry_is_done_after_the_grace,
    ExpiredRetries => an_expired_token_ends_retries,
    RetriesEndAMillisecondLate => an_expired_token_ends_retries,
    DisabledRetries => a_disabled_token_ends_retries,
    RotateIgnoresTheIssuersVersion => rotate_needs_its_issuer,
    /// A rotation links the old token to its successor even if the insert of the successor then
    /// fails.
    RefusedRotationsLink => a_refused_rotation_changes_nothing,
    /// A repeated rotation revokes the first successor even if the insert of the second successor
    /// then fails.
    RefusedRetriesRevoke => a_refused_rotation_changes_nothing,

    TouchDropsTheEndOfTime => touch_moves_forwards,
    /// The store compares the times of last uses as unsigned numbers, so a time before 1970 is
    /// later than any other.
    TouchUnsigned => touch_never_moves_backwards,
    TouchTakesTheFirstOfABatch => touch_takes_the_latest_of_a_batch,
    TouchForgetsWhereFrom => touch_writes_where_a_use_came_from,
    TouchFailsOnUnknown => touch_ignores_unknown_tokens,
    TouchStopsAtUnknown => touch_ignores_unknown_tokens,
    TouchEndsTheLease => touch_changes_no_other_column,
    /// Every write of a token's last use, except the first one, raises the version of the token.
    TouchRaisesTheVersion => touch_leaves_the_version,
    TouchCountsAll => touch_counts_the_rows_it_moved,
    TouchSkipsExpired => touch_takes_dead_tokens,
    TouchRevivesSuperseded => touch_leaves_a_revoked_token_revoked,

    RaceOfInserts => one_insert_of_a_key_wins,
    RaceForTheLimit => inserts_at_once_keep_the_limit,
    RaceOfUpdates => one_update_of_a_version_wins,
    RaceOfRevokes => one_revoke_at_once_wins,
    RaceOfRotations => one_rotation_at_once_wins,
    /// `revoke` reads the record, pauses, and then writes the record that it has read.
    RaceOfRevokeAndRotate => revoke_and_rotate_come_one_by_one,
    RaceOfGroupAndRotate => no_rotation_slips_past_a_group,
    /// `insert` checks the condition on the issuer, pauses, and then inserts the record without
    /// checking again.
    RaceOfInsertAndIssuer => no_insert_slips_past_the_revocation_of_its_issuer,
    RaceOfRotationAndIssuer => no_rotation_slips_past_the_revocation_of_its_issuer,
    /// `touch_many` reads the record, pauses, and then resets the revocation to the state that it
    /// has read.
    RaceOfTouchAndRevoke => touch_and_revoke_at_once_both_hold,
    /// `update` reads the record, pauses, and then writes the record that it has read if the
    /// version is still the same.
    RaceOfUpdateAndTouch => touch_and_rename_at_once_both_hold,
    RaceOfTouches => the_latest_touch_at_once_stays,
    /// `rotate` reads the token, pauses, and then links it to the successor unless another rotation
    /// has linked it. It does not notice that a group was revoked meanwhile, as a store does that
    /// does not take the turn of the project.
    RotateMissesItsTurn => no_rotation_slips_past_a_group,
    /// The revocation of an owner or a family takes 1,000 tokens in each step, in ascending order
    /// of ids, and continues after the last id. It misses successors with lower ids.
    GroupWalksAlongIds => no_rotation_slips_past_a_large_group,
    /// `rotate` inserts the successor in one transaction and links it in another one. The store
    /// completes the rotation even if the call is dropped.
    RotateInTwoTransactions => a_reader_beside_a_rotation_sees_all_or_nothing,
    RotationsShowTheLinkFirst => a_reader_beside_a_rotation_sees_all_or_nothing,
    RetriesShowTheLinkFirst => a_reader_beside_a_retry_sees_all_or_nothing,
    BatchesShowAPart => a_reader_beside_a_batch_sees_all_or_none,
    /// The revocation of a group shows records that are revoked, but have the earlier version.
    GroupsShowHalfARecord => a_reader_beside_a_group_sees_whole_records,
    /// Reads show what a transaction has inserted before it is rolled back, as under the isolation
    /// level READ UNCOMMITTED.
    RefusedCallsAreSeen => a_reader_sees_nothing_of_a_refused_call,
    /// `rotate` inserts the successor, pauses, and then links the old token to the successor.
    RotateInTwoActs => a_dropped_rotation_is_whole_or_nothing,
    /// The revocation of an owner records the first token as done before it revokes this token. If
    /// the call is dropped between these two steps, a repeat of the call skips the token.
    GroupKeepsACursor => a_dropped_revoke_owner_can_be_repeated,

    /// The list of projects skips the first project after the cursor.
    ProjectsSkipOne => projects_names_all_that_have_tokens,
    ProjectsOfAnOwnerSkipOne => projects_names_all_of_an_owner,
    LargeAnswersDescend => projects_ascend,
    LargeAnswersStartAtTheCursor => projects_start_behind_the_one_named,
    ProjectsHoldOneMore => projects_are_no_more_than_asked,
    /// The list of projects with ended tokens omits a project whose tokens are only revoked.
    WorkIgnoresRevocations => projects_with_ended_tokens_are_named,
    /// The list of projects with ended tokens omits a token that ended one millisecond earlier.
    WorkWaitsAMillisecond => projects_with_ended_tokens_are_named,
    /// The list of projects with due notices omits a notice that begins exactly now.
    WorkSkipsANoticeJustThen => projects_with_due_notices_are_named,
    /// The list of projects with due notices knows only the lead times of 30, 7 and 1 days.
    WorkKnowsOneSchedule => projects_with_due_notices_are_named,
    /// The list of projects with due notices omits a notice whose lease ends exactly now.
    WorkKeepsALease => projects_with_due_notices_are_named,
    /// The list of projects with ended issuers omits an issuer that expires exactly now.
    WorkSkipsAnIssuerJustThen => projects_with_ended_issuers_are_named,
    /// The list of projects with ended issuers omits an issuer without a record.
    WorkNeedsTheIssuer => projects_with_ended_issuers_are_named,
    /// The list of projects with ended issuers looks only at the first issuer of a project.
    WorkLooksAtOneIssuer => projects_with_ended_issuers_are_named,
    /// The list of projects with tokens of a key contains only projects with live tokens.
    WorkOfAKeyIsLive => projects_with_a_key_are_named,
    /// The list of projects with tokens of a key looks only at the first token of a project.
    WorkOfAKeyIsFirst => projects_with_a_key_are_named,
    ScanHidesDead => scan_returns_all_records_in_order,
    /// `scan` begins with the next project, even if the project of the cursor has more tokens.
    ScanSkipsTheRest => scan_returns_all_records_in_order,
    ScanHoldsOneMore => scan_returns_no_more_than_asked,
    PurgeKeepsLapsed => purge_deletes_each_kind_of_end,
    PurgeWaitsForTheExpiry => purge_deletes_each_kind_of_end,
    PurgeTakesWhatEndsJustThen => purge_leaves_what_ended_at_the_time,
    PurgeTakesDisabled => purge_leaves_what_has_no_end,
    PurgeCutsTheProject => purge_stays_in_its_project,
    PurgeIgnoresMost => purge_comes_in_batches,
    PurgeCountsWhatIsLeft => purge_counts_its_rows,
    PurgeIsDoneLate => purge_is_done_when_none_is_left,
    PurgeIsDoneAtOnce => purge_is_done_when_none_is_left,
    PurgesShowAPart => a_reader_beside_a_purge_sees_all_or_none,
    ClaimTakesRotated => claim_takes_just_what_is_due,
    /// `claim_notices` uses lead times of 30, 7 and 1 days instead of those that it is given.
    ClaimKnowsOneSchedule => claim_takes_just_what_is_due,
    ClaimCutsTheProject => claim_stays_in_its_project,
    /// `claim_notices` compares times without their milliseconds, so it can take over a lease up to
    /// a second before the lease ends.
    ClaimForgetsTheMilliseconds => claim_respects_a_lease,
    ClaimWaitsAMillisecond => claim_takes_over_when_a_lease_ends,
    ClaimAcknowledges => claim_writes_the_lease,
    ClaimRaisesTheVersion => claim_leaves_the_version,
    ClaimTakesTheLatestFirst => claim_takes_the_soonest_first,
    ClaimTakesOneMore => claim_takes_no_more_than_asked,
    AcknowledgeKeepsTheLease => acknowledge_sets_the_lead_and_ends_the_lease,
    AcknowledgeGoesBack => acknowledge_never_goes_back,
    AcknowledgeRaisesTheVersion => acknowledge_leaves_the_version,
    AcknowledgeOfNoneFails => acknowledge_answers_none_for_the_absent,
    ClaimsShowAPart => a_reader_beside_a_claim_sees_all_or_none,
    RaceOfClaims => one_claim_of_a_notice_wins,

    ImportTrimsMetadata => import_keeps_every_column,
    ImportTakesBoundRecords => import_takes_no_bound_record,
    FindImportedHidesLapsed => find_imported_answers_dead_rows,
    FindImportedReadsHalfTheKey => find_imported_answers_none_for_the_absent,
    ImportStopsAtWhatExists => import_answers_each_row_in_order,
    /// An import returns the outcomes of the inserted rows before all other outcomes.
    ImportSortsItsAnswer => import_answers_each_row_in_order,
    /// An import looks up all import keys before it inserts the first row. So it does not notice
    /// that an earlier row of the batch has the same import key.
    ImportAsksBeforeTheBatch => import_knows_the_rows_before,
    ImportKeysAreOfTheProject => import_never_replaces_an_import_key,
    ImportLooksForTwoKeys => import_knows_a_token_under_another_key,
    ImportReplacesTheToken => import_never_replaces_a_token,
    RefusedImportsKeepTheirKey => import_never_replaces_a_token,
    PurgeKeepsImportKeys => a_purged_import_key_is_free,
    FindImportedAnswersACopy => imported_records_are_revoked_like_others,
    /// `import` inserts the first row, pauses, and then inserts the other rows.
    ImportInTwoActs => a_dropped_import_can_be_repeated,
    RaceOfImports => one_import_of_a_key_wins,
    /// `import` looks up all import keys of the first row, and pauses. Before the insert, it
    /// repeats the look-up only for the first of these keys.
    RaceOfImportKeys => one_import_under_two_keys_at_once_wins,
}
