//! Heads, byte by byte.
