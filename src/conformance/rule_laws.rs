//! The rules that a store may restate in the language of its engine. Each has one table of cases, which runs through the pure
//! function and through the store.

use super::law::laws;
use super::precondition;
use crate::store::contract::TokenStore;
use crate::store::erased::StoreObject;

laws! {
    /// Runs the tables of all rules that a store may restate in the language of its engine. Each case builds rows, asks the
    /// pure function what must happen, and asks the store.
    rules(TokenStore) as StoreObject {
        precondition {
            /// A rotation is done just if [`TokenRecord::may_rotate`](crate::TokenRecord::may_rotate) says so.
            rotations_follow_the_rule;
            /// An insert under a limit is done just if [`LiveLimit::has_room_for`](crate::store::LiveLimit::has_room_for)
            /// says so.
            limits_follow_the_rule;
            /// Revoking an owner or a family reaches each token that
            /// [`can_still_work`](crate::TokenRecord::can_still_work).
            groups_follow_the_rule;
        }
    }
}
