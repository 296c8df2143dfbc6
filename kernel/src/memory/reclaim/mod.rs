//! Dropping references, after the shootdown and outside of the fault (rules M2, M11).
//!
//! A reference that leaves a table entry becomes a [`Retired`](retired::Retired). It can only be
//! dropped with a [`Receipt`](retired::Receipt), and receipts come from completed shootdowns only,
//! so the wrong order does not compile. With its receipt a reference is queued here, and a
//! background task of the CPU drops it.
//!
//! ```text
//!  entry --take out--> Retired --shootdown complete: Receipt--> queue of this CPU --task--> dropped
//!                                                                                   | last holder?
//!                                             page: free   <------------------------+
//!                                             table: chain of dead tables --task--> its 512 entries dropped, free
//! ```
//!
//! A table whose last reference is gone is *dead*: nothing can reach it. It is chained through its
//! own metadata and taken apart one table a step. So no step is longer than 512 drops, nothing
//! recurses, and retiring allocates nothing. When a queue is full, the CPU that releases the
//! reference drops it immediately: slower for that CPU, but correct.
//!
//! | file | what is in it |
//! |---|---|
//! | `dead_pages` | pages of files that were cut or closed, a chunk a step |
//! | `retired` | a reference on its way out, and the receipt that it needs |
//! | `reclaimer` | per-CPU queues, dead tables, the background tasks, direct reclaim |
//!
//! The layer stands on `frame` and `table`, and knows nothing of shootdowns or address spaces.

pub(in crate::memory) mod dead_pages;
pub(in crate::memory) mod reclaimer;
pub(in crate::memory) mod retired;
