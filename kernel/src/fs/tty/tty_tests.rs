use super::super::testing::{Program, now};
use super::*;
use crate::errno::Errno;
use crate::wait::{Undisturbed, Wait};
use core::pin::pin;
use core::sync::atomic::AtomicU32;
use core::task::{Context, Poll, Waker};

fn tty() -> Tty {
    // Its own, because tests run side by side.
    Tty::new(Mode::Unchanged, None)
}

fn type_in(tty: &Tty, bytes: &[u8]) {
    for &byte in bytes {
        let _ = tty.input(byte);
    }
}

#[test]
fn a_reader_sleeps_until_the_line_is_ended() {
    let program = Program::start();
    let tty = tty();
    let mut context = Context::from_waker(Waker::noop());
    let mut to = program.buffer(0, 100);
    let mut reading = pin!(tty.read(&mut to, Wait::For(&Undisturbed)));
    assert!(reading.as_mut().poll(&mut context).is_pending());
    type_in(&tty, b"one");
    assert!(reading.as_mut().poll(&mut context).is_pending());
    type_in(&tty, b"\ntwo\n");
    assert_eq!(reading.poll(&mut context), Poll::Ready(Ok(4)));
    assert_eq!(program.bytes(0, 4), b"one\n");
    assert_eq!(tty.readable(), 4);
    assert_eq!(
        now(tty.read(&mut program.buffer(0, 100), Wait::Never)),
        Ok(4)
    );
    let nothing = now(tty.read(&mut program.buffer(0, 100), Wait::Never));
    assert_eq!(nothing, Err(Errno::EAGAIN));
}

#[test]
fn two_readers_get_a_line_each() {
    let program = Program::start();
    let tty = tty();
    let mut context = Context::from_waker(Waker::noop());
    let (mut one, mut two) = (program.buffer(0, 9), program.buffer(5000, 9));
    let mut one = pin!(tty.read(&mut one, Wait::For(&Undisturbed)));
    let mut two = pin!(tty.read(&mut two, Wait::For(&Undisturbed)));
    assert!(one.as_mut().poll(&mut context).is_pending());
    assert!(two.as_mut().poll(&mut context).is_pending());
    type_in(&tty, b"ab\ncde\n");
    assert_eq!(one.poll(&mut context), Poll::Ready(Ok(3)));
    assert_eq!(two.poll(&mut context), Poll::Ready(Ok(4)));
}

#[test]
fn a_line_for_a_bad_address_is_not_lost() {
    let program = Program::start();
    let tty = tty();
    type_in(&tty, b"line\n");
    let bad = now(tty.read(&mut program.running_out(0, 9), Wait::Never));
    assert_eq!(bad, Err(Errno::EFAULT));
    assert_eq!(
        now(tty.read(&mut program.running_out(2, 9), Wait::Never)),
        Ok(2)
    );
    assert_eq!(now(tty.read(&mut program.buffer(0, 9), Wait::Never)), Ok(3));
    assert_eq!(program.bytes(0, 3), b"ne\n");
}

#[test]
fn signals_go_to_the_foreground() {
    static SENT: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    let tty = tty();
    tty.hooks.call_once(|| Hooks {
        send_signal: |to, signal| {
            let (SignalTarget::Group(group) | SignalTarget::Leader(group)) = to;
            SENT[0].store(group as u32, Ordering::Relaxed);
            SENT[1].store(signal, Ordering::Relaxed);
        },
        session_of: |_| 0,
    });
    let sent = || {
        SENT.each_ref()
            .map(|value| value.swap(0, Ordering::Relaxed))
    };
    type_in(&tty, b"\x03");
    assert_eq!(sent(), [0, 0]);
    tty.set_foreground(7);
    type_in(&tty, b"\x03");
    assert_eq!(sent(), [7, abi::SIGINT]);
    tty.set_window(winsize {
        ws_row: 50,
        ..tty.window()
    });
    assert_eq!(sent(), [7, abi::SIGWINCH]);
    tty.set_window(tty.window());
    assert_eq!(sent(), [0, 0]);
}

#[test]
fn output_ends_at_a_bad_address() {
    let program = Program::start();
    let tty = tty();
    let mut from = program.running_out(300, 300);
    let mut context = Context::from_waker(Waker::noop());
    let mut writing = pin!(tty.write(&mut from, Wait::For(&Undisturbed)));
    let result = loop {
        if let Poll::Ready(result) = writing.as_mut().poll(&mut context) {
            break result;
        }
    };
    assert_eq!(result, Ok(300));
    assert_eq!(
        now(tty.write(&mut program.running_out(0, 9), Wait::For(&Undisturbed))),
        Err(Errno::EFAULT)
    );
    // The one that failed has let go of the port.
    assert_eq!(
        now(tty.write(&mut program.holding(0, b"."), Wait::For(&Undisturbed))),
        Ok(1)
    );
}

#[test]
fn leaving_line_mode_makes_what_was_typed_readable() {
    let program = Program::start();
    let tty = tty();
    let mut context = Context::from_waker(Waker::noop());
    type_in(&tty, b"half");
    let mut to = program.buffer(0, 100);
    let mut reading = pin!(tty.read(&mut to, Wait::For(&Undisturbed)));
    assert!(reading.as_mut().poll(&mut context).is_pending());
    assert_eq!(tty.ready() & abi::POLLIN, 0);
    let mut termios = tty.settings().termios();
    termios.c_lflag &= !abi::ICANON;
    tty.set_settings(Settings::from_termios(termios), Flush::No);
    assert_eq!(tty.ready() & abi::POLLIN, abi::POLLIN);
    assert_eq!(reading.poll(&mut context), Poll::Ready(Ok(4)));
    type_in(&tty, b"gone");
    tty.set_settings(Settings::from_termios(termios), Flush::Yes);
    assert_eq!(tty.readable(), 0);
}

#[test]
fn input_waits_when_nobody_reads_and_goes_on_when_somebody_has() {
    let _program = Program::start();
    let tty = Tty::new(Mode::Unchanged, None);
    let mut taken = 0;
    while tty.input(if taken % 8 == 7 { b'\n' } else { b'x' }) == Wanted::More {
        taken += 1;
        assert!(taken < 2 * line::SIZE, "the buffer has an end");
    }
    assert!(tty.line.lock().is_full());
    let mut buffer = [0; 64];
    let _ = tty.line.lock().read(&mut &mut buffer[..], 64, 0, 1);
    assert_eq!(&buffer[..8], b"xxxxxxx\n");
    assert_eq!(tty.input(b'x'), Wanted::More);
}
