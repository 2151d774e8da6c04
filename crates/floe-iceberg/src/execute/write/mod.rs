//! Writing a stream of record batches as data files.
