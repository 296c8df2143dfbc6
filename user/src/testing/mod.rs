//! What the test programs have in common: named cases and their verdicts ([`cases`], [`failure`]),
//! children that report ([`child`]) or are limited in time (`watch`), memory with patterns ([`mapping`]), counters that generations
//! share ([`shared`]), and what the kernel tells of frames and events ([`pagemap`], [`vmstat`]).

pub mod cases;
pub mod child;
pub mod failure;
pub mod mapping;
pub mod pagemap;
pub mod shared;
pub mod vmstat;
pub mod watch;

pub use cases::Case;
pub use child::{Channel, in_child};
pub use failure::{Explain, Failure, Verdict};
pub use mapping::Mapping;
pub use watch::watch;
