//! The verb that nobody types: the server begins its children by it.

use super::Failure;
use crate::ingest::child;

/// Becomes the child that the standard input describes.
///
/// # Errors
///
/// It can't be.
pub fn run() -> Result<(), Failure> {
    Err(Failure::new("a child", child::become_child()))
}
