//! Filter expressions: text, typed, and bound to a schema.
