//! The rules that a store may restate in the language of its engine. Each rule has one table of
//! cases, which runs through the pure function and through the store.

use super::law::laws;
use super::precondition;
use crate::store::contract::TokenStore;
use crate::store::erased::StoreObject;

laws! {
    /// Runs all rules that a store may restate in the language of its engine. Each case inserts
    /// records and compares the store with the pure function.
    rules(TokenStore) as StoreObject {
        precondition {
            /// Checks that a rotation succeeds exactly if
            /// [`TokenRecord::may_rotate`](crate::TokenRecord::may_rotate) returns true.
            rotations_follow_the_rule;
            /// Checks that an insert under a limit succeeds exactly if
            /// [`LiveLimit::has_room_for`](crate::store::LiveLimit::has_room_for) returns true.
            limits_follow_the_rule;
            /// Checks that revoking an owner or a family reaches each token that
            /// [`can_still_work`](crate::TokenRecord::can_still_work).
            groups_follow_the_rule;
        }
    }
}
