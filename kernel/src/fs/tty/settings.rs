//! A terminal's settings: the kernel's `struct termios` with names for its bits.

use linux_raw_sys::general::{self as abi, termios};

/// The settings of a terminal.
#[derive(Clone, Copy)]
pub struct Settings(termios);

/// Whether programs' output may be changed on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A person sits there: echo, and a carriage return before each newline.
    Interactive,
    /// Output goes out byte for byte, and input is not echoed.
    Unchanged,
    /// As a pseudo-terminal begins on Linux.
    Pair,
}

impl Settings {
    /// The settings that a terminal starts with: Linux's (`tty_std_termios`), and UTF-8 on the
    /// console.
    pub const fn new(mode: Mode) -> Settings {
        let interactive = matches!(mode, Mode::Interactive | Mode::Pair);
        let is_pair = matches!(mode, Mode::Pair);
        let mut keys = [0; abi::NCCS as usize];
        keys[abi::VINTR as usize] = 0x03; // ^C
        keys[abi::VQUIT as usize] = 0x1c; // ^\
        keys[abi::VERASE as usize] = 0x7f; // DEL
        keys[abi::VKILL as usize] = 0x15; // ^U
        keys[abi::VEOF as usize] = 0x04; // ^D
        keys[abi::VMIN as usize] = 1;
        keys[abi::VSTART as usize] = 0x11; // ^Q
        keys[abi::VSTOP as usize] = 0x13; // ^S
        keys[abi::VSUSP as usize] = 0x1a; // ^Z
        keys[abi::VREPRINT as usize] = 0x12; // ^R
        keys[abi::VDISCARD as usize] = 0x0f; // ^O
        keys[abi::VWERASE as usize] = 0x17; // ^W
        keys[abi::VLNEXT as usize] = 0x16; // ^V
        let echo = abi::ECHO | abi::ECHOE | abi::ECHOK | abi::ECHOCTL | abi::ECHOKE;
        Settings(termios {
            c_iflag: abi::ICRNL
                | if interactive { abi::IXON } else { 0 }
                | if is_pair { 0 } else { abi::IUTF8 },
            c_oflag: if interactive {
                abi::OPOST | abi::ONLCR
            } else {
                0
            },
            c_cflag: abi::B38400 | abi::CS8 | abi::CREAD | if is_pair { 0 } else { abi::HUPCL },
            c_lflag: abi::ISIG | abi::ICANON | abi::IEXTEN | if interactive { echo } else { 0 },
            c_line: 0,
            c_cc: keys,
        })
    }

    /// The settings in the ABI's form.
    pub fn termios(&self) -> termios {
        self.0
    }

    /// Settings from the ABI's form.
    pub fn from_termios(termios: termios) -> Settings {
        Settings(termios)
    }

    /// Whether one of these input flags is set.
    pub fn input(&self, flags: u32) -> bool {
        self.0.c_iflag & flags != 0
    }

    /// Whether one of these output flags is set.
    pub fn output(&self, flags: u32) -> bool {
        self.0.c_oflag & flags != 0
    }

    /// Whether one of these local flags is set.
    pub fn local(&self, flags: u32) -> bool {
        self.0.c_lflag & flags != 0
    }

    /// Whether input is edited line by line.
    pub fn is_canonical(&self) -> bool {
        self.local(abi::ICANON)
    }

    /// Whether a newline goes out with a carriage return before it.
    pub fn adds_returns(&self) -> bool {
        self.0.c_oflag & abi::OPOST != 0 && self.0.c_oflag & abi::ONLCR != 0
    }

    /// How a newline goes out.
    pub fn newline(&self) -> &'static [u8] {
        if self.adds_returns() { b"\r\n" } else { b"\n" }
    }

    /// The byte of a special character (`VINTR` and so on).
    pub fn key(&self, key: u32) -> u8 {
        self.0.c_cc.get(key as usize).copied().unwrap_or(0)
    }

    /// Whether `byte` is this special character, and that one is not switched off.
    pub fn is_key(&self, byte: u8, key: u32) -> bool {
        let key = self.key(key);
        key == byte && !is_disabled(key)
    }

    /// Under raw rules: how many bytes a read waits for (`VMIN`).
    pub fn minimum(&self) -> usize {
        usize::from(self.key(abi::VMIN))
    }

    /// Under raw rules: the nanoseconds in `VTIME`. With a `VMIN` of 0 a read waits so long for its
    /// first byte, otherwise for each byte after the first.
    pub fn patience(&self) -> Option<u64> {
        let time = u64::from(self.key(abi::VTIME));
        (!self.is_canonical() && time > 0).then_some(time * 100_000_000)
    }
}

/// Whether a special character is switched off.
pub fn is_disabled(key: u8) -> bool {
    key == 0 // _POSIX_VDISABLE
}
