//! Viewers, as a request tells of them: the token in its path, and what that lets them have.
//!
//! Pure values. Control makes tokens of the registry; shards read them with the same keys. Nothing
//! here knows a clock, a file or a table: the keys and `now` are arguments.

pub mod token;
pub mod scope;
#[cfg(any(test, fuzzing))]
pub mod fuzz;

pub use scope::Scope;
pub use token::{Claims, Denial, Key, Keys, Token};
