//! The channels.

use super::explore;
use crate::sync::oneshot;
use loom::future::block_on;
use loom::thread;

/// A value that is sent is received, whatever the receiver does meanwhile.
///
/// Fault: `Receiver::enrol` returns true always.
#[test]
fn a_oneshot_send_against_receive_is_woken() {
    explore(None, || {
        let (sender, receiver) = oneshot::channel();
        let receiving = thread::spawn(move || block_on(receiver));
        sender.send(7).unwrap();
        assert_eq!(receiving.join().unwrap(), Ok(7));
    });
}

/// A sender that goes away without sending ends the wait.
///
/// Fault: `Sender::drop` does nothing.
#[test]
fn a_oneshot_close_against_receive_is_woken() {
    explore(None, || {
        let (sender, receiver) = oneshot::channel::<u32>();
        let receiving = thread::spawn(move || block_on(receiver));
        drop(sender);
        assert_eq!(receiving.join().unwrap(), Err(oneshot::Closed));
    });
}

/// A value that is sent to a receiver that goes away this moment comes back, or
/// is dropped with the channel: exactly one of the two.
///
/// Fault: `Sender::send` returns `Ok` whatever `finish` says, and forgets the
/// value.
#[test]
fn a_oneshot_send_against_drop_loses_no_value() {
    explore(None, || {
        let value = std::sync::Arc::new(());
        let (sender, receiver) = oneshot::channel();
        let dropper = thread::spawn(move || drop(receiver));
        let back = sender.send(value.clone());
        dropper.join().unwrap();
        let held = usize::from(back.is_err());
        assert_eq!(std::sync::Arc::strong_count(&value), 1 + held);
    });
}
