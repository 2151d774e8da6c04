//! The manager's contract on every catalog with every storage, as far as a pair makes sense.
//!
//! `cargo xtask integration` runs these and prints a table; a pair that is not here is named there, with the reason.

floe_tests::contract! {
    memory_local: Memory, Local;
    sqlite_local: Sqlite, Local;
}
