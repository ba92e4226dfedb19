//! The journal of an open archive pack.
