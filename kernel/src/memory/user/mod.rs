//! The kernel's access to user memory (rule M8).
//!
//! The kernel never uses an address of a program itself. It walks the program's tables as
//! the processor would, takes no more rights than the program has, and reads or writes
//! the frame through its own mapping. So SMAP is always on, a wild pointer cannot hurt,
//! and a fault is an ordinary answer: `AddressSpace::fault` does what it does
//! for a fault from ring 3.
//!
//! What the walk finds is like an entry in this CPU's TLB: the walk sets the accessed bit, as the
//! processor would, and the frame stays until this CPU acknowledges the shootdown, which it does not do inside these functions, none of which
//! waits between walk and access.
//!
//! | file | what is in it |
//! |---|---|
//! | `error` | why an access fails |
//! | `copy` | copies to and from user memory |
//! | `user_buf` | user memory as the source or the destination of a transfer of a file |
//! | `futex_word` | a word of user memory as an atomic |
//!
//! The layer stands on `space`, which makes missing pages present.

pub(in crate::memory) mod copy;
pub(in crate::memory) mod error;
pub(in crate::memory) mod futex_word;
pub(in crate::memory) mod user_buf;
