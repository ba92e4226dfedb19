//! Editions as text: what a channel publishes, written once for every way of delivery.

pub mod hls;
pub mod multivariant;
