//! What the test programs have in common: named cases and their verdicts ([`cases`], [`failure`]),
//! children that report ([`child`]), memory with patterns ([`area`]), counters that generations
//! share ([`shared`]), and the kernel's own word on frames and events ([`pagemap`], [`vmstat`]).

pub mod area;
pub mod cases;
pub mod child;
pub mod failure;
pub mod pagemap;
pub mod shared;
pub mod vmstat;

pub use area::Area;
pub use cases::Case;
pub use child::{Channel, in_child};
pub use failure::{Explain, Failure, Verdict};
