//! Dropping references, after the shootdown and outside the fault (rules M2, M11).
//!
//! A reference that leaves a table entry becomes a [`Retired`]. It cannot be dropped but
//! with a [`Receipt`], and receipts come from completed shootdowns only, so the
//! wrong order does not compile. With its receipt a reference is queued here, and a
//! background task per CPU drops it.
//!
//! ```text
//!  entry --take out--> Retired --shootdown complete: Receipt--> queue of this CPU --task--> dropped
//!                                                                                   | last holder?
//!                                             page: free   <------------------------+
//!                                             table: chain of dead tables --task--> its 512 entries dropped, free
//! ```
//!
//! A table whose last reference is gone is *dead*: nobody can reach it. It is chained
//! through its own metadata and taken apart one table a step, so no step is longer than
//! 512 drops, nothing recurses, and retiring allocates nothing. When a queue is full the
//! reference is dropped at once by whoever brings it: slower for that one, but never
//! wrong.
//!
//! | file | what is in it |
//! |---|---|
//! | `retired` | [`Retired`] and [`Receipt`]: the wrong order does not compile |
//! | `reclaimer` | per-CPU queues, dead tables, the background tasks, direct reclaim |
//!
//! The layer stands on `frame` and `table`, and knows nothing of shootdowns or address spaces.

pub(in crate::memory) mod reclaimer;
pub(in crate::memory) mod retired;
