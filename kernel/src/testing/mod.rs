//! For tests on the host, and not part of the kernel image: [`machine`] is the simulated machine,
//! which `arch` puts in the real one's place; [`sim`] starts one with the memory system on it, and
//! is what tests use.

pub mod machine;
pub mod sim;
