//! The traps that token services fall into, each a test of its own, on every shipped store.

mod edges;
mod groups;
mod races;
mod rotation;
mod together;
mod world;

/// Each trap on each store.
macro_rules! traps {
    ($($module:ident: $($trap:ident),+ $(,)?;)+) => {
        mod memory {
            $($(
                #[tokio::test]
                async fn $trap() {
                    crate::traps::$module::$trap(crate::traps::world::World::new(std::sync::Arc::new(keyfob::MemoryStore::new()))).await;
                }
            )+)+
        }

        mod sqlite {
            $($(
                #[tokio::test]
                async fn $trap() {
                    let folder = tempfile::tempdir().unwrap();
                    let store = keyfob::store::sqlite::SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
                    crate::traps::$module::$trap(crate::traps::world::World::new(store)).await;
                }
            )+)+
        }

        #[cfg(feature = "redis")]
        mod redis_cluster {
            static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

            $($(
                #[tokio::test]
                async fn $trap() {
                    let Some(servers) = crate::support::redis::shared_cluster_to_empty() else { return };
                    // One after the other, each in an empty cluster: some traps walk through all projects.
                    let _turn = TURN.lock().await;
                    servers.flush();
                    crate::traps::$module::$trap(crate::traps::world::World::new(servers.store().await)).await;
                }
            )+)+
        }

        #[cfg(feature = "postgres")]
        mod postgres {
            $($(
                #[tokio::test]
                async fn $trap() {
                    let Some(server) = crate::support::postgres::shared() else { return };
                    crate::traps::$module::$trap(crate::traps::world::World::new(server.store().await)).await;
                }
            )+)+
        }
    };
}

traps! {
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
        presented_texts_that_are_none,
        bearer_in_any_case,
        ipv4_mapped_in_ipv6;
}
