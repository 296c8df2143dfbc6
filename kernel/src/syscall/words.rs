//! Small structures of the ABI that are a few 64-bit words each.

use crate::errno::{Errno, SysResult};
use crate::process::Thread;

/// The words of a structure in the program's memory.
pub(super) async fn read_words<const N: usize>(
    thread: &Thread,
    address: usize,
) -> Result<[u64; N], Errno> {
    let mut bytes = [[0; 8]; N];
    let space = thread.space();
    space.read_bytes(address, bytes.as_flattened_mut()).await?;
    Ok(bytes.map(u64::from_ne_bytes))
}

/// Writes the words of a structure to the program's memory.
pub(super) async fn write_words<const N: usize>(
    thread: &Thread,
    address: usize,
    words: [u64; N],
) -> SysResult {
    let bytes = words.map(u64::to_ne_bytes);
    thread
        .space()
        .write_bytes(address, bytes.as_flattened())
        .await?;
    Ok(0)
}
