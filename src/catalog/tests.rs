//! The catalog, by behaviour.
