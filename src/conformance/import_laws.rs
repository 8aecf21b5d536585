//! The laws of [`ImportStore`], by the file with their cases.

use super::law::laws;
use super::{dropped, imported, races};
use crate::store::contract::TokenStore;
use crate::store::erased::ImportingObject;
use crate::store::import::ImportStore;
use crate::store::maintenance::StoreMaintenance;

laws! {
    /// Runs all laws of [`ImportStore`]. The cases change the imported records through
    /// [`TokenStore`] and purge them through [`StoreMaintenance`].
    import(TokenStore + StoreMaintenance + ImportStore) as ImportingObject {
        imported {
            /// Checks that every column is returned as it was imported, by the import key and by
            /// the token key.
            import_keeps_every_column;
            /// Checks that an import returns one outcome for each row, in order. A row that exists
            /// keeps no other row out.
            import_answers_each_row_in_order;
            /// Checks that a row exists already if its import key or token key occurs earlier in
            /// the batch.
            import_knows_the_rows_before;
            /// Checks that a batch with a record that is bound to another token fails, and that no
            /// row of it is inserted.
            import_takes_no_bound_record;
            /// Checks that `find_imported` returns ended records like live ones.
            find_imported_answers_dead_rows;
            /// Checks that `find_imported` returns `None` for an unknown import key, not an error.
            find_imported_answers_none_for_the_absent;
            /// Checks that a row whose import key exists, in any project, is not inserted.
            import_never_replaces_an_import_key;
            /// Checks that a row exists already, under the token key of that record, if another of
            /// its look-up keys exists.
            import_knows_a_token_under_another_key;
            /// Checks that a row whose token key exists leaves that record unchanged, and its
            /// import key unknown.
            import_never_replaces_a_token;
            /// Checks that `find_imported` returns the current record.
            imported_records_are_revoked_like_others;
            /// Checks that the import key of a purged token is unknown, and can be imported again.
            a_purged_import_key_is_free;
        }
        dropped {
            /// Checks that an import whose future is dropped midway takes effect as a whole or not
            /// at all.
            a_dropped_import_is_whole_or_nothing;
        }
        races {
            /// Checks that if imports under one import key race, one succeeds, and only its record
            /// exists.
            one_import_of_a_key_wins;
            /// Checks that two nodes that mint with different keys do not both import one token.
            one_import_under_two_keys_at_once_wins;
        }
    }
}
