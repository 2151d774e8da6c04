//! The contract of the manager: what its operations must do the same on every catalog with every storage.
//!
//! Each property is one async function over a [`Target`]. [`contract!`](macro@crate::contract) makes a test of each for one
//! pair; `tests/matrix` does so for every pair, and `cargo xtask integration` prints which pairs hold what.
//! What a catalog declares that it cannot do, the property that needs it checks to be refused in plain words.

pub mod credentials;
pub mod peers;
pub mod races;
pub mod refs;
pub mod rows;
mod sessions;
pub mod tables;
mod target;
pub mod writes;

pub use target::{Catalog, Storage, Target, unique};

/// Makes a module `$pair` with a test for every property of the contract, on `$catalog` with `$storage`.
#[macro_export]
macro_rules! contract {
    ($($(#[$attribute:meta])* $pair:ident: $catalog:ident, $storage:ident;)*) => {$(
        mod $pair {
            $crate::contract! { @properties [$(#[$attribute])*] $catalog, $storage;
                tables::a_table_is_created_once_and_seen_by_others
                tables::properties_and_location_are_kept
                tables::a_faulty_configuration_creates_nothing
                tables::what_is_missing_is_named
                tables::namespaces_are_made_listed_and_dropped
                tables::tables_are_renamed_dropped_and_registered_again
                tables::the_storage_of_a_table_is_checked_and_nothing_left
                tables::odd_names_are_kept_or_clearly_refused
                tables::a_thousand_tables_are_listed
                writes::appends_of_both_strategies_are_read_back
                writes::scans_filter_and_project
                writes::time_travel_reads_what_was
                writes::overwrites_replace_all_a_filter_or_partitions
                writes::deletes_remove_rows_in_both_modes
                writes::upserts_update_and_insert_in_one_snapshot
                writes::a_merge_does_what_its_clauses_say
                writes::schema_properties_and_rows_change_together
                writes::the_same_key_writes_once
                writes::every_format_version_appends
                refs::tags_and_branches_live_their_own_lives
                refs::a_rollback_sets_a_branch_back
                refs::a_staged_snapshot_is_published_once
                refs::a_snapshot_is_cherry_picked
                races::concurrent_appends_lose_nothing
                races::writers_on_different_partitions_do_not_conflict
                races::updates_of_the_same_rows_are_never_mixed
                races::a_lost_reply_is_found_again
                races::a_reply_lost_on_the_wire_is_found_again
                races::spurious_conflicts_are_tried_again
                credentials::a_long_job_outlives_the_credentials_of_its_storage
                credentials::a_job_whose_credentials_end_for_good_leaves_the_table_as_it_was
                credentials::a_long_job_outlives_the_token_of_its_catalog
                peers::pyiceberg_reads_what_floe_wrote_and_floe_goes_on
                peers::duckdb_reads_what_floe_wrote
            }
        }
    )*};
    (@properties $attributes:tt $catalog:ident, $storage:ident; $($group:ident::$property:ident)*) => {
        $($crate::contract! { @property $attributes $catalog, $storage, $group, $property })*
    };
    (@property [$(#[$attribute:meta])*] $catalog:ident, $storage:ident, $group:ident, $property:ident) => {
        $(#[$attribute])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $property() {
            use $crate::contract::{Catalog, Storage, Target};
            if let Some(target) = Target::open(Catalog::$catalog, Storage::$storage).await {
                $crate::contract::$group::$property(&target).await;
            }
        }
    };
}
