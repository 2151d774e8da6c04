//! Tests of parsing, display and binding.
