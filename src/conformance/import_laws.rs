//! The laws of [`ImportStore`], each given by the file that tries it.

use super::law::laws;
use super::{dropped, imported, races};
use crate::store::contract::TokenStore;
use crate::store::erased::ImportingObject;
use crate::store::import::ImportStore;
use crate::store::maintenance::StoreMaintenance;

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
            /// A batch with a record that is bound to another token fails, and none of it is there.
            import_takes_no_bound_record;
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
