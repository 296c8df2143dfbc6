//! ioctl(2): what all files have; what terminals have is in [`terminal`].

use super::arguments::file;
use super::terminal;
use crate::errno::{Errno, SysResult};
use crate::fs::table::{Fd, OnExec};
use crate::process::Thread;
use linux_raw_sys::general as abi;
use linux_raw_sys::ioctl as request;

/// ioctl(2)
pub async fn ioctl(thread: &Thread, fd: usize, number: usize, argument: usize) -> SysResult {
    let file = file(thread, fd)?;
    let files = thread.process().files();
    match number as u32 {
        request::FIOCLEX => files.set_on_exec(Fd::from_argument(fd), OnExec::Close)?,
        request::FIONCLEX => files.set_on_exec(Fd::from_argument(fd), OnExec::Keep)?,
        request::FIONBIO => {
            let on = read_int(thread, argument).await? != 0;
            let flag = if on { abi::O_NONBLOCK } else { 0 };
            file.set_flags(abi::O_NONBLOCK, flag);
        }
        request::FIONREAD => {
            let count = i32::try_from(file.readable().await?).unwrap_or(i32::MAX);
            write_int(thread, argument, count).await?;
        }
        number => {
            if let Some(master) = file.master() {
                return terminal::of_master(thread, master, number, argument).await;
            }
            let tty = file.tty().filter(|tty| !tty.is_stream());
            let tty = tty.ok_or(Errno::ENOTTY)?;
            return terminal::of_terminal(thread, tty, number, argument).await;
        }
    }
    Ok(0)
}

pub(super) async fn read_int(thread: &Thread, address: usize) -> Result<i32, Errno> {
    let mut value = [0; 4];
    thread.space().read_bytes(address, &mut value).await?;
    Ok(i32::from_ne_bytes(value))
}

pub(super) async fn write_int(thread: &Thread, address: usize, value: i32) -> Result<(), Errno> {
    let bytes = value.to_ne_bytes();
    Ok(thread.space().write_bytes(address, &bytes).await?)
}
