//! The data model: configuration of tables, writes and the manager.
