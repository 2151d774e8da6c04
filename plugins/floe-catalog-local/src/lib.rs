//! floe-catalog-local
