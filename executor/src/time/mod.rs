//! Timers: one wheel per CPU, one lock per wheel.
//!
//! A timer is a node in the future that waits ([`Sleep`]), in the wheel of the
//! CPU that polled it first. It is taken out when the future is dropped, from
//! whatever CPU that happens on. Nothing is allocated.
//!
//! The CPU turns its wheel before a poll when the nearest event has come, and
//! when its hardware timer ends the halt. The hardware timer is armed for the
//! nearest event; there is no tick.

mod entry;
mod sleep;
pub(crate) mod timers;
mod wheel;

pub use sleep::{Elapsed, Interval, MissedTicks, Sleep, Timeout};

/// What the models look at.
#[cfg(all(test, loom))]
pub(crate) mod models;

#[cfg(all(test, not(loom)))]
mod tests;
