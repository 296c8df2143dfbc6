//! Memory: frames, address spaces, copy-on-write, shootdown, reclaim.

mod frame_id;
pub use frame_id::{FRAME_SIZE, Frame};
