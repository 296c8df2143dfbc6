//! Work in another address space than the CPU's (rule M6): each poll of it runs with that one active,
//! and leaves the CPU where it was.

use super::address_space::AddressSpace;
use super::current::visit;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::pin::pin;

/// Does `work` in that address space.
pub async fn within<T>(space: &Arc<AddressSpace>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| visit(space, || work.as_mut().poll(context))).await
}
