//! The commit loop: one path for every kind of write.
