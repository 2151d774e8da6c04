//! floe-plan
