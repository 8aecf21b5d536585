//! Known traps of token services. Each trap is a test on every store of the crate, with and without
//! a cache.

mod chains;
mod edges;
mod groups;
mod races;
mod rotation;
mod together;
mod world;

/// The lock of the tests that use the Redis cluster. These tests run one after the other, each in
/// an empty cluster, because some of them go through all projects.
#[cfg(feature = "redis")]
static CLUSTER: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Defines one test for each trap and each store. `$world` names the constructor of
/// [`World`](world::World): `new`, or `cached` for a store with a cache.
macro_rules! on_each_store {
    ($world:ident $($module:ident: $($trap:ident),+ $(,)?;)+) => {
        mod memory {
            $($(
                #[tokio::test]
                async fn $trap() {
                    crate::traps::$module::$trap(crate::traps::world::World::$world(keyfob::MemoryStore::new())).await;
                }
            )+)+
        }

        mod sqlite {
            $($(
                #[tokio::test]
                async fn $trap() {
                    let folder = tempfile::tempdir().unwrap();
                    let store = keyfob::store::sqlite::SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
                    crate::traps::$module::$trap(crate::traps::world::World::$world(store)).await;
                }
            )+)+
        }

        #[cfg(feature = "redis")]
        mod redis_cluster {
            $($(
                #[tokio::test]
                async fn $trap() {
                    let Some(servers) = crate::support::redis::shared_cluster_to_empty() else { return };
                    let _turn = crate::traps::CLUSTER.lock().await;
                    servers.flush();
                    crate::traps::$module::$trap(crate::traps::world::World::$world(servers.store().await)).await;
                }
            )+)+
        }

        #[cfg(feature = "mysql")]
        mod mariadb {
            $($(
                #[tokio::test]
                async fn $trap() {
                    let Some(server) = crate::support::mariadb::shared() else { return };
                    crate::traps::$module::$trap(crate::traps::world::World::$world(server.store().await)).await;
                }
            )+)+
        }

        #[cfg(feature = "postgres")]
        mod postgres {
            $($(
                #[tokio::test]
                async fn $trap() {
                    let Some(server) = crate::support::postgres::shared() else { return };
                    crate::traps::$module::$trap(crate::traps::world::World::$world(server.store().await)).await;
                }
            )+)+
        }
    };
}

/// Defines two tests for each trap and each store: one without a cache, and one with a cache.
macro_rules! traps {
    ($($traps:tt)+) => {
        on_each_store! { new $($traps)+ }

        #[cfg(feature = "cache")]
        mod cached {
            on_each_store! { cached $($traps)+ }
        }
    };
}

traps! {
    chains:
        parent_narrowed_afterwards,
        parent_narrowed_so_that_it_may_not_issue,
        parent_disabled_and_enabled,
        parent_revoked,
        parent_expired,
        parent_rotated_and_past_its_grace,
        parent_purged,
        parent_missing,
        parent_outside_the_current_policy,
        parent_unused_for_longer_than_the_policy_allows,
        disjoint_addresses_of_child_and_issuer,
        owner_revoked_while_a_delegation_is_kept,
        manage_scope_through_a_wildcard,
        a_delegation_that_rotates_its_owners_unrelated_token,
        a_chain_longer_than_the_policy_allows,
        a_bound_token_rotated_keeps_its_issuer,
        an_independent_token_survives_its_issuer,
        issuer_ended_is_reported_only_after_the_digest_matched,
        no_notice_for_a_bound_token_whose_issuer_ended,
        no_key_is_held_by_a_bound_token_whose_issuer_ended,
        parent_revoked_during_a_verification_of_its_child;
    rotation:
        grace_longer_than_the_remaining_life,
        rotate_an_expired_token,
        rotate_a_disabled_token,
        rotate_a_revoked_token,
        rotate_a_pending_token,
        rotate_twice_at_once,
        retry_after_a_lost_response,
        retry_after_a_lost_response_without_grace,
        a_never_expiring_token_rotated,
        notices_after_rotation,
        a_revoked_family_has_no_successor,
        repeat_a_rotation_of_an_expired_token,
        repeat_a_rotation_of_a_disabled_token,
        repeat_a_rotation_whose_successor_was_disabled,
        repeat_a_rotation_whose_successor_was_narrowed,
        repeat_a_rotation_of_a_revoked_group,
        owners_limit_by_rotation,
        grace_longer_than_the_policy_allows;
    together:
        revoke_during_a_verification,
        revoke_matching_during_a_verification,
        touch_after_revoke,
        rename_against_touch,
        project_ended_and_its_id_reused,
        negative_entry_then_issue,
        same_id_under_two_projects,
        store_time_out,
        rows_that_expire_between_two_pages,
        revoke_matching_against_a_token_issued_in_the_same_second;
    races:
        rotate_twice_in_the_gap,
        the_same_request_twice_in_the_gap,
        revoke_during_a_rotation,
        revoke_all_of_an_owner_during_a_rotation,
        disable_during_a_rotation,
        revoke_during_a_change,
        rename_twice_in_the_gap,
        narrow_twice_in_the_gap,
        a_last_use_written_during_a_rename,
        expiry_during_a_verification_and_a_rotation;
    edges:
        now_plus_lifetime_overflow,
        exactly_at_expiry_on_every_path,
        two_prefixes_active,
        presented_texts_that_are_no_tokens,
        bearer_in_any_case,
        ipv4_mapped_in_ipv6;
}

/// Checks that a world reads from the cache that it gets.
#[cfg(feature = "cache")]
#[tokio::test]
async fn a_cache_answers_repeated_verifications() {
    let cache = std::sync::Arc::new(keyfob::store::cache::Cached::new(keyfob::MemoryStore::new(), world::HOUR));
    let world = world::World::new(std::sync::Arc::clone(&cache));
    let made = world.issue().await;
    for hits in [0, 1, 2] {
        assert_eq!(world.outcome(&made).await, "ok");
        assert_eq!(cache.counts().hits, hits);
    }
}
