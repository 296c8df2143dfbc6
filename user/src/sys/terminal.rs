//! Terminals: how they treat keys, and how large they are (ioctl_tty(2)).

use core::mem::MaybeUninit;

use linux_raw_sys::general::{
    __NR_ioctl, ECHO, ICANON, ISIG, VMIN, VTIME, termios as Termios, winsize,
};
use linux_raw_sys::ioctl::{TCGETS, TCSETS, TIOCGWINSZ, TIOCSWINSZ};

use super::Result;
use super::file::Fd;
use super::raw::syscall;

/// How a terminal treats what is typed and written.
#[derive(Clone, Copy)]
pub struct Settings(Termios);

impl Settings {
    /// Key by key, unseen, and without keys that signal; a read waits that many tenths of a second
    /// for a key, and then returns nothing. Output is treated as before.
    pub fn key_by_key(self, tenths: u8) -> Self {
        let mut termios = self.0;
        termios.c_lflag &= !(ICANON | ECHO | ISIG);
        for (index, value) in [(VMIN, 0), (VTIME, tenths)] {
            if let Some(key) = termios.c_cc.get_mut(index as usize) {
                *key = value;
            }
        }
        Self(termios)
    }
}

pub fn settings(fd: Fd) -> Result<Settings> {
    let mut termios = MaybeUninit::<Termios>::zeroed();
    syscall!(__NR_ioctl, fd.0, TCGETS, termios.as_mut_ptr())?;
    // SAFETY: the kernel filled it in, and all zeroes were a valid value before.
    Ok(Settings(unsafe { termios.assume_init() }))
}

pub fn set_settings(fd: Fd, settings: &Settings) -> Result<()> {
    syscall!(__NR_ioctl, fd.0, TCSETS, &raw const settings.0).map(drop)
}

/// Rows and columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    pub rows: usize,
    pub columns: usize,
}

/// How large the terminal is; zeroes where it was not set.
pub fn size(fd: Fd) -> Result<Size> {
    let mut size = winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    syscall!(__NR_ioctl, fd.0, TIOCGWINSZ, &raw mut size)?;
    Ok(Size {
        rows: usize::from(size.ws_row),
        columns: usize::from(size.ws_col),
    })
}

/// Says how large the terminal is.
pub fn set_size(fd: Fd, size: Size) -> Result<()> {
    let size = winsize {
        ws_row: u16::try_from(size.rows).unwrap_or(u16::MAX),
        ws_col: u16::try_from(size.columns).unwrap_or(u16::MAX),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    syscall!(__NR_ioctl, fd.0, TIOCSWINSZ, &raw const size).map(drop)
}
