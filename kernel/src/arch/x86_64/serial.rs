//! The two serial ports: COM1 is the console, COM2 the kernel's log. On a machine with one port
//! (QEMU's `microvm`) the log goes to the console.
//!
//! Sending waits for the device, byte by byte, but not for ever. Receiving is
//! done by the boot CPU's interrupt handler, and touches other registers than
//! sending; so each has its own driver value, and only senders share a lock.

use super::stop::STOPPING;
use crate::arch::interface::Wanted;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::{Mutex, Once};
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::IER;
use uart_16550::{BaudRate, Config, Uart16550};

type Port = Uart16550<PioBackend>;

const COM1: u16 = 0x3f8;
const COM2: u16 = 0x2f8;
/// How often a sender asks before it takes the device for dead: about a second.
const PATIENCE: u32 = 1_000_000;

static CONSOLE: Mutex<Port> = Mutex::new(port(COM1));
static LOG: Mutex<Port> = Mutex::new(port(COM2));
/// There is no COM2. Relaxed: it is set before the other CPUs run.
static ONE_PORT: AtomicBool = AtomicBool::new(false);
/// The receiving side of COM1.
static RECEIVER: Mutex<Receiver> = Mutex::new(Receiver {
    port: port(COM1),
    paused: false,
});
static INPUT: Once<fn(u8) -> Wanted> = Once::new();

struct Receiver {
    port: Port,
    /// No reader wants input now. An interrupt that was already pending finds this set.
    paused: bool,
}

const fn port(base: u16) -> Port {
    // SAFETY: COM1 and COM2 have these addresses on every PC, and no other code
    // uses them. Two values for COM1 are sound as the one only sends (THR, LSR)
    // and the other only receives (RBR, LSR); reading LSR clears error bits that
    // neither uses.
    match unsafe { Uart16550::new_port(base) } {
        Ok(port) => port,
        Err(_) => panic!("not a port"),
    }
}

/// Sets the ports up. A port that is not there stays silent.
pub fn init() {
    let config = Config {
        baud_rate: BaudRate::Baud115200,
        ..Config::DEFAULT
    };
    // A missing port is no reason to stop: writes to it go nowhere.
    let _ = CONSOLE.lock().init(config.clone());
    let one_port = LOG.lock().init(config).is_err();
    ONE_PORT.store(one_port, Ordering::Relaxed);
}

/// Sends to the console; drops what the device does not take.
pub fn console_write(bytes: &[u8]) {
    write(&CONSOLE, COM1, bytes);
}

/// Sends to the log port, as [`console_write`].
pub fn log_write(bytes: &[u8]) {
    if ONE_PORT.load(Ordering::Relaxed) {
        write(&CONSOLE, COM1, bytes);
    } else {
        write(&LOG, COM2, bytes);
    }
}

fn write(lock: &Mutex<Port>, base: u16, bytes: &[u8]) {
    loop {
        if let Some(mut port) = lock.try_lock() {
            return send(&mut port, bytes);
        }
        if STOPPING.load(Ordering::Relaxed) {
            // A panic: the holder of the lock has been stopped and stays stopped.
            return send(&mut port(base), bytes);
        }
        spin_loop();
    }
}

fn send(port: &mut Port, mut bytes: &[u8]) {
    let mut patience = PATIENCE;
    while !bytes.is_empty() && patience > 0 {
        let sent = port.send_bytes(bytes);
        bytes = &bytes[sent..];
        patience = if sent > 0 { PATIENCE } else { patience - 1 };
    }
}

/// From now on each byte that the console receives is passed to `input`, on the
/// boot CPU, with interrupts masked. Only the first call counts. When `input`
/// wants no more, the next bytes stay in the device, which holds the sender up,
/// until [`resume_console_input`].
pub fn set_console_input(input: fn(u8) -> Wanted) {
    INPUT.call_once(|| input);
    resume_console_input();
}

/// Lets the console go on after `input` wanted no more.
pub fn resume_console_input() {
    let mut receiver = RECEIVER.lock();
    receiver.paused = false;
    // What waits in the device raises the interrupt at once.
    receiver.port.enable_interrupts(IER::DATA_READY);
}

/// The console's interrupt: takes all bytes that are there, so that the next one
/// raises a new edge.
pub fn receive() {
    let mut receiver = RECEIVER.lock();
    let Some(input) = INPUT.get() else { return };
    while !receiver.paused
        && let Ok(byte) = receiver.port.try_receive_byte()
    {
        if input(byte) == Wanted::Pause {
            receiver.paused = true;
            receiver.port.disable_interrupts(IER::DATA_READY);
        }
    }
}
