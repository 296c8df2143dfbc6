//! A multi-CPU async runtime for kernels.
#![no_std]
