//! The rules that a store may restate in the language of its engine, such as SQL or Lua. For each
//! rule, test cases compare the store with the pure function of keyfob that defines the rule.

use super::law::laws;
use super::precondition;
use super::verdict::Report;
use crate::store::contract::TokenStore;

/// Passes the laws for rules to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyfob_rule_laws {
    ([$($macro:tt)+] $($head:tt)*) => {
        $($macro)+! { $($head)* {
        precondition {
            /// Checks that the store rotates a token exactly if
            /// [`TokenRecord::may_rotate`](crate::TokenRecord::may_rotate) returns true.
            rotations_follow_the_rule;
            /// Checks that an insert under a limit succeeds exactly if
            /// [`LiveLimit::has_room_for`](crate::store::LiveLimit::has_room_for) returns true.
            limits_follow_the_rule;
            /// Checks that revoking an owner or a family revokes each token for which
            /// [`can_still_work`](crate::TokenRecord::can_still_work) returns true.
            groups_follow_the_rule;
        }
        } }
    };
}

__keyfob_rule_laws! { [laws] rules_of(TokenStore) as ErasedTokens in TokenLaws }

/// Tests a store against each rule that a store can implement in the language of its engine, such
/// as SQL or Lua, instead of calling keyfob's function for the rule. Each case inserts records, and
/// compares the result of the store with the result of this function.
pub async fn rules<S: TokenStore>(store: &S) -> Report {
    let mut report = Report::default();
    rules_of(store, &mut report).await;
    report
}
