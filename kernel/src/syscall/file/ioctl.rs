//! ioctl(2): the terminal's settings (ioctl_tty(2)), and what all files have.

use super::arguments::file;
use super::plain::{bytes, bytes_mut, zeroed};
use crate::errno::{Errno, SysResult};
use crate::fs::table::{Fd, OnExec};
use crate::fs::tty::settings::Settings;
use crate::fs::tty::{Flush, Tty};
use crate::process::{self, TerminalUse, Thread};
use core::sync::atomic::Ordering;
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
            let tty = file.tty().filter(|tty| !tty.is_stream());
            let tty = tty.ok_or(Errno::ENOTTY)?;
            return terminal(thread, tty, number, argument).await;
        }
    }
    Ok(0)
}

async fn terminal(thread: &Thread, tty: &Tty, number: u32, argument: usize) -> SysResult {
    let space = thread.space();
    match number {
        request::TCGETS => {
            space
                .write_bytes(argument, bytes(&tty.settings().termios()))
                .await?;
        }
        request::TCSETS | request::TCSETSW | request::TCSETSF => {
            let mut termios: abi::termios = zeroed();
            space.read_bytes(argument, bytes_mut(&mut termios)).await?;
            if number != request::TCSETS {
                tty.drain().await;
            }
            let flush = if number == request::TCSETSF {
                Flush::Yes
            } else {
                Flush::No
            };
            process::check_foreground(thread, tty.owner(), TerminalUse::Change)?;
            tty.set_settings(Settings::from_termios(termios), flush);
        }
        request::TIOCGWINSZ => space.write_bytes(argument, bytes(&tty.window())).await?,
        request::TIOCSWINSZ => {
            let mut size: abi::winsize = zeroed();
            space.read_bytes(argument, bytes_mut(&mut size)).await?;
            tty.set_window(size);
        }
        request::TIOCGPGRP => write_int(thread, argument, tty.foreground()).await?,
        request::TIOCSPGRP => {
            let group = read_int(thread, argument).await?;
            if group <= 0 {
                return Err(Errno::EINVAL);
            }
            process::check_foreground(thread, tty.owner(), TerminalUse::Change)?;
            tty.set_foreground(group);
        }
        request::TIOCGSID => match tty.session() {
            0 => return Err(Errno::ENOTTY),
            session => write_int(thread, argument, session).await?,
        },
        request::TIOCSCTTY => {
            // Relaxed: numbers that stand for themselves.
            let process = thread.process();
            tty.set_session(process.session.load(Ordering::Relaxed) as i32);
            tty.set_foreground(process.group.load(Ordering::Relaxed) as i32);
        }
        request::TIOCNOTTY => tty.set_session(0),
        request::TCFLSH => match argument as u32 {
            abi::TCIFLUSH | abi::TCIOFLUSH => tty.flush_input(),
            // What was written is on its way already.
            abi::TCOFLUSH => {}
            _ => return Err(Errno::EINVAL),
        },
        // A break cannot be sent; draining is what tcdrain(3) wants of it.
        request::TCSBRK | request::TCSBRKP => tty.drain().await,
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

async fn read_int(thread: &Thread, address: usize) -> Result<i32, Errno> {
    let mut value = [0; 4];
    thread.space().read_bytes(address, &mut value).await?;
    Ok(i32::from_ne_bytes(value))
}

async fn write_int(thread: &Thread, address: usize, value: i32) -> Result<(), Errno> {
    let bytes = value.to_ne_bytes();
    Ok(thread.space().write_bytes(address, &bytes).await?)
}
