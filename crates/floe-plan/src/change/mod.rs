//! What an operation wants to change, and what must not have happened meanwhile.
