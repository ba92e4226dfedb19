//! Cases of range.
