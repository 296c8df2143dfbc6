//! ioctl(2) of terminals (ioctl_tty(2)): settings, window, session and foreground, and what the other
//! end of a pseudo-terminal has besides.
//!
//! Most calls mean the terminal, at whichever end they are made.

use super::ioctl::{read_int, write_int};
use super::opening::on_exec;
use super::plain::{bytes, bytes_mut, zeroed};
use crate::errno::{Errno, SysResult};
use crate::fs;
use crate::fs::tty::line::Flow;
use crate::fs::tty::pair::{Master, Pair};
use crate::fs::tty::settings::Settings;
use crate::fs::tty::{Flush, Tty};
use crate::fs::walk::Start;
use crate::process::{self, TerminalUse, Thread};
use linux_raw_sys::general as abi;
use linux_raw_sys::ioctl as request;

/// The size of `struct termios` without the two speeds that `struct termios2` has at its end.
const TERMIOS: usize = size_of::<abi::termios>();

/// What a terminal's own end answers.
pub(super) async fn of_terminal(
    thread: &Thread,
    tty: &Tty,
    number: u32,
    argument: usize,
) -> SysResult {
    if tty.is_hung_up() {
        return Err(match number {
            request::TIOCSPGRP => Errno::ENOTTY,
            _ => Errno::EIO,
        });
    }
    let process = thread.process();
    match number {
        request::TIOCSCTTY => process::take_terminal(thread, tty, argument == 1)?,
        request::TIOCNOTTY => process::give_up_terminal(thread, tty)?,
        request::TIOCGPGRP | request::TIOCGSID if !process::has_terminal(process, tty) => {
            return Err(Errno::ENOTTY);
        }
        request::TIOCOUTQ => {
            let waiting = tty.pair().map_or(0, Pair::printed);
            write_int(thread, argument, waiting as i32).await?;
        }
        _ => return of_both(thread, tty, number, argument).await,
    }
    Ok(0)
}

/// What the other end of a pseudo-terminal answers.
pub(super) async fn of_master(
    thread: &Thread,
    master: &Master,
    number: u32,
    argument: usize,
) -> SysResult {
    let tty = master.tty();
    let pair = tty.pair().ok_or(Errno::EIO)?;
    match number {
        request::TIOCGPTN => write_int(thread, argument, pair.index() as i32).await?,
        request::TIOCSPTLCK => pair.set_locked(read_int(thread, argument).await? != 0),
        request::TIOCGPTLCK => write_int(thread, argument, pair.is_locked().into()).await?,
        request::TIOCPKT => pair.set_packets(read_int(thread, argument).await? != 0),
        request::TIOCGPKT => write_int(thread, argument, pair.has_packets().into()).await?,
        request::TIOCGPTPEER => return open_peer(thread, pair, argument as u32).await,
        // The number alone is the argument, as no pointer is.
        request::TIOCSIG => {
            let signal = argument as u32;
            if ![abi::SIGINT, abi::SIGQUIT, abi::SIGTSTP].contains(&signal) {
                return Err(Errno::EINVAL);
            }
            tty.signal_foreground(signal);
        }
        request::TIOCSCTTY | request::TIOCNOTTY => return Err(Errno::ENOTTY),
        request::TIOCOUTQ => write_int(thread, argument, tty.readable() as i32).await?,
        _ => return of_both(thread, tty, number, argument).await,
    }
    Ok(0)
}

/// A descriptor of the terminal, without its name (`TIOCGPTPEER`).
async fn open_peer(thread: &Thread, pair: &Pair, flags: u32) -> SysResult {
    let start = Start {
        directory: fs::tree().root(),
        caller: thread.process().pid.0 as i32,
    };
    let mut name = [0; 16];
    let path = fs::tty::open::path(pair.index(), &mut name);
    let known = abi::O_ACCMODE | abi::O_NONBLOCK | abi::O_CLOEXEC | abi::O_NOCTTY;
    let file = fs::open::open(fs::tree(), start, path, flags & known, 0).await?;
    let fd = thread.process().files().add(file, on_exec(flags))?;
    Ok(fd.0 as usize)
}

async fn of_both(thread: &Thread, tty: &Tty, number: u32, argument: usize) -> SysResult {
    let space = thread.space();
    match number {
        request::TCGETS => {
            let termios = tty.settings().termios();
            space.write_bytes(argument, bytes(&termios)).await?;
        }
        request::TCGETS2 => {
            let termios = tty.settings().termios();
            let speeds = [SPEED.to_ne_bytes(); 2];
            space.write_bytes(argument, bytes(&termios)).await?;
            let end = argument.checked_add(TERMIOS).ok_or(Errno::EFAULT)?;
            space.write_bytes(end, speeds.as_flattened()).await?;
        }
        request::TCSETS | TCSETS2 => set(thread, tty, argument, When::Now).await?,
        request::TCSETSW | TCSETSW2 => set(thread, tty, argument, When::Drained).await?,
        request::TCSETSF | TCSETSF2 => set(thread, tty, argument, When::Flushed).await?,
        request::TIOCGWINSZ => space.write_bytes(argument, bytes(&tty.window())).await?,
        request::TIOCSWINSZ => {
            let mut size: abi::winsize = zeroed();
            space.read_bytes(argument, bytes_mut(&mut size)).await?;
            tty.set_window(size);
        }
        request::TIOCGPGRP => write_int(thread, argument, tty.foreground()).await?,
        request::TIOCSPGRP => set_foreground(thread, tty, argument).await?,
        request::TIOCGSID => match tty.session() {
            0 => return Err(Errno::ENOTTY),
            session => write_int(thread, argument, session).await?,
        },
        request::TIOCGETD => write_int(thread, argument, 0).await?,
        request::TIOCGDEV => write_int(thread, argument, tty.number() as i32).await?,
        request::TCFLSH => {
            may_change(thread, tty)?;
            match argument as u32 {
                abi::TCIFLUSH => tty.flush_input(),
                abi::TCOFLUSH => tty.flush_output(),
                abi::TCIOFLUSH => {
                    tty.flush_input();
                    tty.flush_output();
                }
                _ => return Err(Errno::EINVAL),
            }
        }
        request::TCXONC => {
            may_change(thread, tty)?;
            match argument as u32 {
                abi::TCOOFF => tty.set_flow(Flow::Stopped),
                abi::TCOON => tty.set_flow(Flow::Going),
                // There is no line on which ^S and ^Q could be sent.
                abi::TCIOFF | abi::TCION => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        // A break cannot be sent; draining is what tcdrain(3) wants of it.
        request::TCSBRK | request::TCSBRKP => {
            may_change(thread, tty)?;
            tty.drain(thread).await?;
        }
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

// asm-generic/ioctls.h; the bindings do not have them.
const TCSETS2: u32 = 0x402c_542b;
const TCSETSW2: u32 = 0x402c_542c;
const TCSETSF2: u32 = 0x402c_542d;

/// The speed of all terminals, as Linux's begin (B38400).
const SPEED: u32 = 38400;

/// When new settings begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Now,
    /// After what was printed.
    Drained,
    /// Then too, and what was typed is discarded.
    Flushed,
}

async fn set(thread: &Thread, tty: &Tty, argument: usize, when: When) -> Result<(), Errno> {
    let mut termios: abi::termios = zeroed();
    may_change(thread, tty)?;
    let space = thread.space();
    space.read_bytes(argument, bytes_mut(&mut termios)).await?;
    if when != When::Now {
        tty.drain(thread).await?;
    }
    let flush = match when {
        When::Flushed => Flush::Yes,
        _ => Flush::No,
    };
    tty.set_settings(Settings::from_termios(termios), flush);
    Ok(())
}

/// A process in the background may not change its terminal (termios(3)).
fn may_change(thread: &Thread, tty: &Tty) -> Result<(), Errno> {
    process::check_foreground(thread, tty.owner(), TerminalUse::Change)
}

async fn set_foreground(thread: &Thread, tty: &Tty, argument: usize) -> Result<(), Errno> {
    match may_change(thread, tty) {
        // An orphaned group has no terminal that it could give away.
        Err(Errno::EIO) => return Err(Errno::ENOTTY),
        result => result?,
    }
    if !process::has_terminal(thread.process(), tty) {
        return Err(Errno::ENOTTY);
    }
    let group = read_int(thread, argument).await?;
    let group = u32::try_from(group).map_err(|_| Errno::EINVAL)?;
    process::set_foreground(thread, tty, group)
}
