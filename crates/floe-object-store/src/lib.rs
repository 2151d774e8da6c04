//! floe-object-store
