//! What a terminal makes of bytes on their way out (termios(3), `c_oflag`; Linux's
//! `do_output_char`). Plain data: rule E1 is the caller's, under whose lock this runs.

use super::settings::Settings;
use linux_raw_sys::general as abi;

/// The most bytes that one can become: a tab, as spaces.
pub const WIDEST: usize = 8;

/// Where the next byte would be shown.
pub struct Output {
    column: usize,
}

impl Output {
    /// At the left.
    pub const fn new() -> Output {
        Output { column: 0 }
    }

    /// Fills `out` with what becomes of `bytes`, and returns how many of these were taken and how many
    /// were made. It stops where the next one might not fit.
    pub fn process(&mut self, settings: &Settings, bytes: &[u8], out: &mut [u8]) -> (usize, usize) {
        let mut made = 0;
        if !settings.output(abi::OPOST) {
            let length = bytes.len().min(out.len());
            out[..length].copy_from_slice(&bytes[..length]);
            return (length, length);
        }
        for (taken, &byte) in bytes.iter().enumerate() {
            let Some(room) = out.get_mut(made..made + WIDEST) else {
                return (taken, made);
            };
            made += self.one(settings, byte, room);
        }
        (bytes.len(), made)
    }

    /// Puts what becomes of a byte at the start of `room`, and returns its length.
    fn one(&mut self, settings: &Settings, byte: u8, room: &mut [u8]) -> usize {
        let mut put = |bytes: &[u8]| {
            room[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        };
        match byte {
            b'\n' if settings.output(abi::ONLCR) => {
                self.column = 0;
                put(b"\r\n")
            }
            b'\n' => {
                if settings.output(abi::ONLRET) {
                    self.column = 0;
                }
                put(b"\n")
            }
            b'\r' if settings.output(abi::ONOCR) && self.column == 0 => 0,
            b'\r' if settings.output(abi::OCRNL) => {
                if settings.output(abi::ONLRET) {
                    self.column = 0;
                }
                put(b"\n")
            }
            b'\r' => {
                self.column = 0;
                put(b"\r")
            }
            b'\t' => {
                let spaces = WIDEST - self.column % WIDEST;
                self.column += spaces;
                if settings.termios().c_oflag & abi::TABDLY == abi::XTABS {
                    put(&[b' '; WIDEST][..spaces])
                } else {
                    put(b"\t")
                }
            }
            0x08 => {
                self.column = self.column.saturating_sub(1);
                put(&[byte])
            }
            byte => {
                // A later byte of a character in UTF-8 has no column of its own.
                let continues = settings.input(abi::IUTF8) && byte & 0xc0 == 0x80;
                if !byte.is_ascii_control() && !continues {
                    self.column += 1;
                }
                let raises = settings.output(abi::OLCUC);
                put(&[if raises {
                    byte.to_ascii_uppercase()
                } else {
                    byte
                }])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Mode;
    use super::*;
    use alloc::vec::Vec;

    fn shown(flags: u32, bytes: &[u8]) -> Vec<u8> {
        let mut termios = Settings::new(Mode::Pair).termios();
        termios.c_oflag = flags;
        let mut out = [0; 64];
        let settings = Settings::from_termios(termios);
        let (taken, made) = Output::new().process(&settings, bytes, &mut out);
        assert_eq!(taken, bytes.len());
        out[..made].to_vec()
    }

    #[test]
    fn newlines_go_out_with_a_return() {
        assert_eq!(
            shown(abi::OPOST | abi::ONLCR, b"a\nb\r\n\n"),
            b"a\r\nb\r\r\n\r\n"
        );
        assert_eq!(shown(abi::ONLCR, b"a\n"), b"a\n");
    }

    #[test]
    fn tabs_become_spaces_up_to_the_next_stop() {
        let flags = abi::OPOST | abi::XTABS;
        assert_eq!(shown(flags, b"ab\tc\t"), b"ab      c       ");
        assert_eq!(shown(flags, b"ab\r\t"), b"ab\r        ");
    }

    #[test]
    fn returns_at_the_left_can_be_left_out() {
        assert_eq!(shown(abi::OPOST | abi::ONOCR, b"\ra\r"), b"a\r");
        assert_eq!(shown(abi::OPOST | abi::OCRNL, b"a\rb"), b"a\nb");
        assert_eq!(shown(abi::OPOST | abi::OLCUC, b"aB1"), b"AB1");
    }

    #[test]
    fn it_stops_where_the_next_byte_might_not_fit() {
        let mut out = [0; 2 * WIDEST];
        let settings = Settings::new(Mode::Pair);
        let (taken, made) = Output::new().process(&settings, &[b'\n'; 20], &mut out);
        assert_eq!((taken, made), (5, 10));
    }
}
