//! remap_file_pages(2), as Linux has had it since 4.0: another part of the same object is mapped over
//! a part of a shared mapping.

use crate::errno::{Errno, SysResult};
use crate::memory::{Backing, FRAME_SIZE, MapRequest, Placement, VmaFlags};
use crate::process::Thread;
use linux_raw_sys::general as linux;

/// remap_file_pages(2).
pub async fn remap_file_pages(
    thread: &Thread,
    [start, length, protection, page, flags]: [usize; 5],
) -> SysResult {
    let start = start - start % FRAME_SIZE;
    let length = length - length % FRAME_SIZE;
    let end = start.checked_add(length).filter(|&end| end > start);
    let offset = page.checked_mul(FRAME_SIZE);
    let sum = offset.and_then(|offset| offset.checked_add(length));
    let (Some(_), Some(offset), Some(_), 0) = (end, offset, sum, protection) else {
        return Err(Errno::EINVAL);
    };
    let space = thread.space();
    let mapped = space.shared_mapping(start, length).await;
    let Some((object, protection, allowed, vma_flags)) = mapped else {
        return Err(Errno::EINVAL);
    };
    let request = MapRequest {
        place: Placement::Fixed(start),
        length,
        protection,
        allowed,
        backing: Backing::Shared(object, offset as u64),
        flags: vma_flags & VmaFlags::LOCKED,
        populated: flags as u32 & linux::MAP_NONBLOCK == 0 && vma_flags.contains(VmaFlags::LOCKED),
    };
    space.map_as(request).await?;
    Ok(0)
}
