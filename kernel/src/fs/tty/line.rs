//! The line discipline: what a terminal makes of the bytes typed (termios(3)).
//!
//! Plain data without locks or devices. [`Line::input`] is called for each byte typed, on the
//! interrupt path: it works in fixed memory and returns what is to be done as an [`Effect`].
//!
//! The buffer is a ring. `head..ready` can be read; `ready..tail` is the line
//! that is still being edited (empty unless canonical). `stops` marks the bytes that
//! end a line. A marked null stands for an end-of-file that was typed and is not delivered.

use super::output::Output;
use super::settings::{Settings, is_disabled};
use crate::memory::Sink;
use linux_raw_sys::general as abi;

/// Bytes that can wait for a reader, as on Linux.
pub const SIZE: usize = 4096;
/// The longest echo of one byte: a whole line is erased by `VKILL`.
const MAX_ECHO: usize = 1024;

/// The signals that a terminal sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TerminalSignal {
    /// `SIGINT`, by ^C.
    Interrupt,
    /// `SIGQUIT`, by ^\.
    Quit,
    /// `SIGTSTP`, by ^Z.
    Stop,
    /// `SIGWINCH`: the window has another size.
    Resized,
}

impl TerminalSignal {
    /// The signal's number.
    pub fn number(self) -> u32 {
        match self {
            TerminalSignal::Interrupt => abi::SIGINT,
            TerminalSignal::Quit => abi::SIGQUIT,
            TerminalSignal::Stop => abi::SIGTSTP,
            TerminalSignal::Resized => abi::SIGWINCH,
        }
    }
}

/// Whether output may go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// It may.
    Going,
    /// It waits for ^Q.
    Stopped,
}

/// What a byte typed calls for.
pub struct Effect {
    echo: [u8; MAX_ECHO],
    length: usize,
    /// Send this to the foreground process group.
    pub signal: Option<TerminalSignal>,
    /// There is more to read.
    pub readable: bool,
    /// Output that has not been taken yet is discarded.
    pub flushes: bool,
    /// Output is stopped or goes on from now.
    pub flow: Option<Flow>,
}

impl Effect {
    fn none() -> Effect {
        Effect {
            echo: [0; MAX_ECHO],
            length: 0,
            signal: None,
            readable: false,
            flushes: false,
            flow: None,
        }
    }

    /// What to print.
    pub fn echo(&self) -> &[u8] {
        &self.echo[..self.length]
    }

    fn print(&mut self, bytes: &[u8]) {
        // What does not fit is not shown; it is only the picture.
        if let Some(room) = self.echo.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }
}

/// What came of an attempt to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineRead {
    /// So many bytes were delivered, and the read is complete. Zero is an end-of-file.
    Done(usize),
    /// So many were delivered; the sink has to be made ready for the others.
    NotReady(usize),
    /// There is nothing yet.
    Empty,
}

/// What waits to be read from a terminal, and its settings.
pub struct Line {
    settings: Settings,
    buffer: [u8; SIZE],
    stops: [u64; SIZE / 64],
    // These only grow; an index into the buffer is the value modulo its size.
    head: usize,
    ready: usize,
    tail: usize,
    /// The next byte is taken as it is (`VLNEXT`).
    quoted: bool,
    flow: Flow,
    output: Output,
}

impl Line {
    /// An empty line.
    pub const fn new(settings: Settings) -> Line {
        Line {
            settings,
            buffer: [0; SIZE],
            stops: [0; SIZE / 64],
            head: 0,
            ready: 0,
            tail: 0,
            quoted: false,
            flow: Flow::Going,
            output: Output::new(),
        }
    }

    /// Whether output may go out.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Stops output or lets it go on; `true` if that is a change.
    pub fn set_flow(&mut self, flow: Flow) -> bool {
        core::mem::replace(&mut self.flow, flow) != flow
    }

    /// Makes of a program's bytes what goes out; see `Output::process`.
    pub fn outgoing(&mut self, bytes: &[u8], out: &mut [u8]) -> (usize, usize) {
        self.output.process(&self.settings, bytes, out)
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the settings. What was typed under canonical rules and not ended can be read after
    /// the change to raw ones, as on Linux.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        if !settings.is_canonical() {
            self.ready = self.tail;
        }
    }

    /// Forgets everything typed (`TCIFLUSH`).
    pub fn flush(&mut self) {
        self.head = self.tail;
        self.ready = self.tail;
        self.stops = [0; SIZE / 64];
        self.quoted = false;
    }

    /// Takes a byte that was typed.
    pub fn input(&mut self, byte: u8) -> Effect {
        let mut effect = Effect::none();
        if self.quoted {
            self.quoted = false;
            self.append(byte, &mut effect);
            return effect;
        }
        let byte = match byte {
            b'\r' if self.settings.input(abi::IGNCR) => return effect,
            b'\r' if self.settings.input(abi::ICRNL) => b'\n',
            b'\n' if self.settings.input(abi::INLCR) => b'\r',
            byte if self.settings.input(abi::ISTRIP) => byte & 0x7f,
            byte => byte,
        };
        let lowers = self.settings.input(abi::IUCLC) && self.settings.local(abi::IEXTEN);
        let byte = if lowers {
            byte.to_ascii_lowercase()
        } else {
            byte
        };
        if self.settings.input(abi::IXON) && self.control_flow(byte, &mut effect) {
            return effect;
        }
        if let Some(signal) = self.signal(byte) {
            if !self.settings.local(abi::NOFLSH) {
                self.flush();
                effect.flushes = true;
            }
            self.echo(byte, &mut effect);
            effect.signal = Some(signal);
            return effect;
        }
        if self.settings.is_canonical() {
            self.edit(byte, &mut effect);
        } else {
            self.append(byte, &mut effect);
        }
        effect
    }

    /// ^S and ^Q, and with `IXANY` any byte in place of ^Q; `true` if the byte means only that.
    fn control_flow(&mut self, byte: u8, effect: &mut Effect) -> bool {
        let (starts, stops) = (
            self.settings.is_key(byte, abi::VSTART),
            self.settings.is_key(byte, abi::VSTOP),
        );
        let flow = match (starts, stops) {
            (true, _) => Flow::Going,
            (_, true) => Flow::Stopped,
            _ if self.settings.input(abi::IXANY) => Flow::Going,
            _ => return false,
        };
        effect.flow = self.set_flow(flow).then_some(flow);
        starts || stops
    }

    fn signal(&self, byte: u8) -> Option<TerminalSignal> {
        if !self.settings.local(abi::ISIG) {
            return None;
        }
        let keys = [
            (abi::VINTR, TerminalSignal::Interrupt),
            (abi::VQUIT, TerminalSignal::Quit),
            (abi::VSUSP, TerminalSignal::Stop),
        ];
        keys.into_iter()
            .find(|&(key, _)| self.settings.is_key(byte, key))
            .map(|(_, signal)| signal)
    }

    /// A byte under canonical rules: it edits the line, ends it, or becomes part of it.
    fn edit(&mut self, byte: u8, effect: &mut Effect) {
        let key = |key| self.settings.is_key(byte, key);
        let extended = self.settings.local(abi::IEXTEN);
        // Terminals send one or the other for the same key; both erase.
        if key(abi::VERASE) || (byte == 0x08 && !is_disabled(self.settings.key(abi::VERASE))) {
            self.erase(effect);
        } else if key(abi::VKILL) {
            self.kill_line(byte, effect);
        } else if extended && key(abi::VREPRINT) {
            self.reprint(byte, effect);
        } else if extended && key(abi::VWERASE) {
            while self.last() == Some(b' ') && self.erase(effect) {}
            while self.last().is_some_and(|byte| byte != b' ') && self.erase(effect) {}
        } else if extended && key(abi::VLNEXT) {
            self.quoted = true;
            if self.settings.local(abi::ECHO) && self.settings.local(abi::ECHOCTL) {
                effect.print(b"^\x08");
            }
        } else if key(abi::VEOF) {
            // Not delivered: it only ends what was typed so far.
            self.end_line(0, effect);
        } else if byte == b'\n' {
            if self.settings.local(abi::ECHO | abi::ECHONL) {
                effect.print(self.settings.newline());
            }
            self.end_line(b'\n', effect);
        } else if key(abi::VEOL) || (extended && key(abi::VEOL2)) {
            self.echo(byte, effect);
            self.end_line(byte, effect);
        } else {
            self.append(byte, effect);
        }
    }

    fn append(&mut self, byte: u8, effect: &mut Effect) {
        // One place is kept for the byte that ends the line.
        if self.tail - self.head >= SIZE - 1 {
            effect.print(b"\x07");
            return;
        }
        self.push(byte);
        self.echo(byte, effect);
        if !self.settings.is_canonical() {
            self.ready = self.tail;
            effect.readable = true;
        }
    }

    fn end_line(&mut self, byte: u8, effect: &mut Effect) {
        if self.tail - self.head >= SIZE {
            effect.print(b"\x07");
            return;
        }
        let at = self.tail % SIZE;
        self.push(byte);
        self.stops[at / 64] |= 1 << (at % 64);
        self.ready = self.tail;
        effect.readable = true;
    }

    fn push(&mut self, byte: u8) {
        let at = self.tail % SIZE;
        self.buffer[at] = byte;
        self.stops[at / 64] &= !(1 << (at % 64));
        self.tail += 1;
    }

    /// The last byte of the line that is being edited.
    fn last(&self) -> Option<u8> {
        (self.tail > self.ready).then(|| self.buffer[(self.tail - 1) % SIZE])
    }

    /// Takes the last character back; `false` if there is none.
    fn erase(&mut self, effect: &mut Effect) -> bool {
        // The later bytes of a character in UTF-8 go with its first.
        while self.settings.input(abi::IUTF8) && self.last().is_some_and(|b| b & 0xc0 == 0x80) {
            self.tail -= 1;
        }
        let Some(byte) = self.last() else {
            return false;
        };
        self.tail -= 1;
        if self.settings.local(abi::ECHO) && self.settings.local(abi::ECHOE) {
            let shown_as_two = is_control(byte) && self.settings.local(abi::ECHOCTL);
            for _ in 0..1 + usize::from(shown_as_two) {
                effect.print(b"\x08 \x08");
            }
        } else {
            self.echo(self.settings.key(abi::VERASE), effect);
        }
        true
    }

    /// Discards the line (`VKILL`). Where its characters cannot be taken from the picture, the key is
    /// shown.
    fn kill_line(&mut self, byte: u8, effect: &mut Effect) {
        let all = [abi::ECHO, abi::ECHOK, abi::ECHOKE, abi::ECHOE];
        if all.into_iter().all(|flag| self.settings.local(flag)) {
            while self.erase(effect) {}
            return;
        }
        self.tail = self.ready;
        self.echo(byte, effect);
        if self.settings.local(abi::ECHO) && self.settings.local(abi::ECHOK) {
            effect.print(self.settings.newline());
        }
    }

    /// Shows the line again (`VREPRINT`).
    fn reprint(&self, byte: u8, effect: &mut Effect) {
        self.echo(byte, effect);
        if self.settings.local(abi::ECHO) {
            effect.print(self.settings.newline());
        }
        for at in self.ready..self.tail {
            self.echo(self.buffer[at % SIZE], effect);
        }
    }

    fn echo(&self, byte: u8, effect: &mut Effect) {
        if !self.settings.local(abi::ECHO) {
            return;
        }
        match byte {
            b'\n' => effect.print(self.settings.newline()),
            byte if is_control(byte) && self.settings.local(abi::ECHOCTL) => {
                effect.print(&[b'^', byte ^ 0x40]);
            }
            byte => effect.print(&[byte]),
        }
    }

    /// How many bytes a read would deliver (`FIONREAD`).
    pub fn readable(&self) -> usize {
        if self.settings.is_canonical() {
            let (length, stop) = self.first_line();
            length - usize::from(stop == Some(0))
        } else {
            self.ready - self.head
        }
    }

    /// Whether more input should wait for a reader. Without a whole line there is nothing to read,
    /// and what is too much of one is lost, as on Linux.
    pub fn is_full(&self) -> bool {
        self.tail - self.head >= SIZE - 1 && self.is_ready()
    }

    /// Whether a read would find something, be it an end-of-file. With a time limit one byte is
    /// enough.
    pub fn is_ready(&self) -> bool {
        if self.settings.is_canonical() {
            return self.head < self.ready;
        }
        let needed = match self.settings.patience() {
            None => self.settings.minimum().max(1),
            Some(_) => 1,
        };
        self.ready - self.head >= needed
    }

    /// How many more bytes can be typed before the buffer is full.
    pub fn room(&self) -> usize {
        (SIZE - 1).saturating_sub(self.tail - self.head)
    }

    /// How many bytes wait, whether or not a read would get them.
    pub fn waiting(&self) -> usize {
        self.ready - self.head
    }

    /// The length of the first line with what ends it, and that byte.
    fn first_line(&self) -> (usize, Option<u8>) {
        for at in self.head..self.ready {
            let index = at % SIZE;
            if self.stops[index / 64] & 1 << (index % 64) != 0 {
                return (at + 1 - self.head, Some(self.buffer[index]));
            }
        }
        (self.ready - self.head, None)
    }

    /// Delivers what a read of up to `max` bytes can get now. `before` is what
    /// the same read has delivered already, and zero when it begins; under raw rules
    /// a read begins with `minimum` bytes.
    pub fn read(
        &mut self,
        sink: &mut dyn Sink,
        max: usize,
        before: usize,
        minimum: usize,
    ) -> LineRead {
        if max == 0 {
            return LineRead::Done(0);
        }
        let (length, end_of_file) = if self.settings.is_canonical() {
            if self.head == self.ready {
                return if before > 0 {
                    LineRead::Done(0)
                } else {
                    LineRead::Empty
                };
            }
            let (length, stop) = self.first_line();
            let end_of_file = stop == Some(0);
            (length - usize::from(end_of_file), end_of_file)
        } else {
            let length = self.ready - self.head;
            if before == 0 && length < minimum.min(max) {
                return LineRead::Empty;
            }
            (length, false)
        };
        let wanted = length.min(max);
        let given = self.give(sink, wanted);
        if given < wanted {
            return LineRead::NotReady(given);
        }
        if end_of_file && given == length {
            self.head += 1;
        }
        LineRead::Done(given)
    }

    fn give(&mut self, sink: &mut dyn Sink, count: usize) -> usize {
        let start = self.head % SIZE;
        let first = count.min(SIZE - start);
        let mut given = sink.put(&self.buffer[start..start + first]);
        if given == first && first < count {
            given += sink.put(&self.buffer[..count - first]);
        }
        self.head += given;
        given
    }
}

/// A byte that would be shown as `^X`. Tabs and newlines are shown as they are.
fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t' && byte != b'\n') || byte == 0x7f
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
