//! Catalogs for tests.
