//! Cases of conditions.
