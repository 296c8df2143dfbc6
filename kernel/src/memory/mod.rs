//! Memory: frames, address spaces, copy-on-write, shootdown, reclaim.

mod frame_id;
mod transfer;
pub use frame_id::{FRAME_SIZE, Frame};
pub use transfer::{Sink, Source};
