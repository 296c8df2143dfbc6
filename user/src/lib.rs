//! The runtime of the user programs.
#![no_std]
