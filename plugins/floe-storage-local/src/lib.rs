//! floe-storage-local
