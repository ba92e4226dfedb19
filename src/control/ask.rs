//! What shards ask.

/// The router.
pub fn router() -> axum::Router {
    axum::Router::new()
}
