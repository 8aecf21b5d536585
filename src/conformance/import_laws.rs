//! The laws of [`ImportStore`], grouped by the file that contains their test cases.

use super::law::laws;
use super::verdict::Report;
use super::{dropped, import_races, imported};
use crate::store::contract::TokenStore;
use crate::store::import::ImportStore;
use crate::store::maintenance::StoreMaintenance;

/// Passes the laws for imports to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyfob_import_laws {
    ([$($macro:tt)+] $($head:tt)*) => {
        $($macro)+! { $($head)* {
        imported {
            /// Checks that an imported record keeps every column, whether it is found by its import
            /// key or by its token key.
            import_keeps_every_column;
            /// Checks that an import returns one outcome for each row, in the order of the batch,
            /// and that a row that exists already does not prevent the import of the other rows.
            import_answers_each_row_in_order;
            /// Checks that a row is reported as existing if an earlier row of the same batch has
            /// the same import key or the same token key.
            import_knows_the_rows_before;
            /// Checks that a batch with a record that is bound to another token fails, and that the
            /// store inserts no row of the batch.
            import_takes_no_bound_record;
            /// Checks that `find_imported` returns the record of a token even after the token has
            /// ended.
            find_imported_answers_dead_rows;
            /// Checks that `find_imported` returns `None`, not an error, for an import key without
            /// a record.
            find_imported_answers_none_for_the_absent;
            /// Checks that a row is not inserted if a record with the same import key exists in any
            /// project.
            import_never_replaces_an_import_key;
            /// Checks that a row is not inserted if a record was imported under one of the row's
            /// `other_keys`, and that the outcome names this record.
            import_knows_a_token_under_another_key;
            /// Checks that importing a row whose token key exists does not change the existing
            /// record and does not store the import key of the row.
            import_never_replaces_a_token;
            /// Checks that a token can be revoked after its import, and that `find_imported` then
            /// returns the revoked record.
            imported_records_are_revoked_like_others;
            /// Checks that `find_imported` returns `None` for the import key of a purged token, and
            /// that this key can be imported again.
            a_purged_import_key_is_free;
        }
        } }
    };
}

/// Passes the laws for concurrent and dropped imports to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __keyfob_import_race_laws {
    ([$($macro:tt)+] $($head:tt)*) => {
        $($macro)+! { $($head)* {
        dropped {
            /// Checks that an import can be repeated after its future was dropped before it
            /// completed, and that each row takes effect as a whole or not at all.
            a_dropped_import_can_be_repeated;
        }
        import_races {
            /// Checks that exactly one of several concurrent imports under one import key succeeds,
            /// and that only the record of this import exists.
            one_import_of_a_key_wins;
            /// Checks that only one of two concurrent imports of one token inserts a row. The
            /// imports use different import keys, and each row names the other key in `other_keys`.
            one_import_under_two_keys_at_once_wins;
        }
        } }
    };
}

__keyfob_import_laws! { [laws] imports_of(TokenStore + StoreMaintenance + ImportStore) as ErasedImports in ImportLaws }
__keyfob_import_race_laws! { [laws] import_races_of(TokenStore + StoreMaintenance + ImportStore) as ErasedImports in ImportLaws }

/// Tests a store against all laws of [`ImportStore`]. The cases change the imported records through
/// [`TokenStore`] and purge them through [`StoreMaintenance`].
pub async fn import<S: TokenStore + StoreMaintenance + ImportStore>(store: &S) -> Report {
    let mut report = Report::default();
    imports_of(store, &mut report).await;
    import_races_of(store, &mut report).await;
    report
}
