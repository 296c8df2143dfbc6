//! The parking lot's waiters against tasks that choose, move and lose them.

use super::{counting, explore};
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::sync::{Key, ParkingLot};
use core::future::Future;
use core::pin::Pin;
use core::task::Context;
use loom::future::block_on;
use loom::thread;
use std::boxed::Box;
use std::sync::Arc;

/// With two buckets, each of these is in one of its own.
#[derive(Clone, PartialEq, Eq)]
struct Address(usize);

impl Key for Address {
    fn hash(&self) -> usize {
        self.0
    }
}

const HERE: Address = Address(0);
const THERE: Address = Address(1);

type Lot = Arc<ParkingLot<Address>>;

fn lot() -> Lot {
    Arc::new(ParkingLot::new(2))
}

fn nothing_against() -> Result<(), ()> {
    Ok(())
}

/// A future that has enrolled.
fn parked<'a>(
    lot: &'a Lot,
    address: &Address,
) -> Pin<Box<impl Future<Output = Result<(), ()>> + 'a>> {
    let (_, waker) = counting();
    let mut park = Box::pin(lot.park(address.clone(), !0, nothing_against));
    let polled = park.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    park
}

/// A task that parks unless a value has changed is woken by a change that is followed by an unpark.
///
/// Fault: `Park::enrol` makes the check before it locks the bucket.
#[test]
fn a_park_against_unpark_loses_no_wake_up() {
    explore(None, || {
        let (lot, value) = (lot(), Arc::new(AtomicUsize::new(0)));
        let waiter = {
            let (lot, value) = (lot.clone(), value.clone());
            thread::spawn(move || {
                let unchanged = || match value.load(Ordering::Relaxed) {
                    0 => Ok(()),
                    _ => Err(()),
                };
                let _ = block_on(lot.park(HERE, !0, unchanged));
            })
        };
        // Relaxed on purpose: the order is for the bucket's lock to see to.
        value.store(1, Ordering::Relaxed);
        lot.unpark(&HERE, 1, !0);
        waiter.join().unwrap();
    });
}

/// A choice of a waiter that is dropped passes to the next.
///
/// Fault: `Park::drop` does not unpark.
#[test]
fn a_leaver_passes_its_choice_on() {
    explore(None, || {
        let lot = lot();
        let leaver = parked(&lot, &HERE);
        let mut stayer = parked(&lot, &HERE);
        let waker = {
            let lot = lot.clone();
            thread::spawn(move || assert_eq!(lot.unpark(&HERE, 1, !0), 1))
        };
        drop(leaver);
        waker.join().unwrap();
        block_on(stayer.as_mut()).unwrap();
    });
}

/// A waiter that leaves while it is moved is found where it is, and is in no list after that.
///
/// Fault: `Park::take_out` does not look again which bucket it is (the list is torn, and the model
/// crashes).
#[test]
fn a_leaver_is_found_where_it_was_moved() {
    explore(None, || {
        let lot = lot();
        let leaver = parked(&lot, &HERE);
        let mover = {
            let lot = lot.clone();
            thread::spawn(move || lot.requeue(&HERE, &THERE, 0, 1, nothing_against))
        };
        drop(leaver);
        mover.join().unwrap().unwrap();
        assert_eq!(lot.unpark(&HERE, 1, !0), 0);
        assert_eq!(lot.unpark(&THERE, 1, !0), 0);
    });
}

/// A waiter that is moved there and back at the same time is woken all the same: two buckets
/// are locked in one order.
///
/// Fault: `with_two` locks the first first.
#[test]
fn moves_to_and_fro_do_not_block_each_other() {
    explore(None, || {
        let lot = lot();
        let mut waiter = parked(&lot, &HERE);
        let mover = {
            let lot = lot.clone();
            thread::spawn(move || lot.requeue(&HERE, &THERE, 0, 1, nothing_against))
        };
        let back = lot.requeue(&THERE, &HERE, 0, 1, nothing_against).unwrap();
        let there = mover.join().unwrap().unwrap();
        assert_eq!(there.moved, 1);
        let address = if back.moved == 1 { &HERE } else { &THERE };
        assert_eq!(lot.unpark(address, 1, !0), 1);
        block_on(waiter.as_mut()).unwrap();
    });
}
