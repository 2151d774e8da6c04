//! Requirements that follow from updates.
