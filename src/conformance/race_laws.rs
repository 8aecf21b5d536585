//! The laws of [`TokenStore`] for concurrent and dropped calls, grouped by the file that contains
//! their test cases.

use super::law::laws;
use super::{dropped, large_group, races, reader};
use crate::store::contract::TokenStore;

/// Passes the laws for concurrent and dropped calls to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyfob_race_laws {
    ([$($macro:tt)+] $($head:tt)*) => {
        $($macro)+! { $($head)* {
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
        large_group {
            /// Checks that rotations leave no live token if they run between the steps of the
            /// revocation of an owner or family with more than 1,000 tokens.
            no_rotation_slips_past_a_large_group;
        }
        reader {
            /// Checks that a list or a find during a rotation shows the successor and the link to
            /// it, or neither.
            a_reader_beside_a_rotation_sees_all_or_nothing;
            /// Checks that a list during a repeated rotation shows the new successor, the link to
            /// it and the revocation of the earlier successor, or nothing of them.
            a_reader_beside_a_retry_sees_all_or_nothing;
            /// Checks that a list during `revoke_batch` shows all records of the batch revoked, or
            /// none.
            a_reader_beside_a_batch_sees_all_or_none;
            /// Checks that a list during the revocation of a group shows each record as it was
            /// before, or completely revoked.
            a_reader_beside_a_group_sees_whole_records;
            /// Checks that no find, list or count shows a record of an insert or a rotation that is
            /// refused, not even while the call runs.
            a_reader_sees_nothing_of_a_refused_call;
        }
        dropped {
            /// Checks that a rotation whose future is dropped before it completes takes effect as a
            /// whole or not at all.
            a_dropped_rotation_is_whole_or_nothing;
            /// Checks that `revoke_owner` can be repeated after its future was dropped before it
            /// completed, and that the repeat revokes all tokens.
            a_dropped_revoke_owner_can_be_repeated;
        }
        } }
    };
}

__keyfob_race_laws! { [laws] races_of(TokenStore) as ErasedTokens in TokenLaws }
