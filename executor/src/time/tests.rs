//! The wheel against a plain reference model.

use super::entry::TimerEntry;
use super::timers::{Inserted, Timers};
use super::wheel::{TICK_NS, tick_of};
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Waker;
use proptest::prelude::*;
use std::boxed::Box;
use std::sync::Arc;
use std::task::Wake;
use std::vec::Vec;

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One timer, in the wheel and in the model.
struct Timer {
    deadline: u64,
    entry: Pin<Box<TimerEntry>>,
    wakes: Arc<Count>,
    /// The model's opinion.
    waiting: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u64),
    Cancel(usize),
    Advance(u64),
    /// To the wheel's next event, as the hardware timer does it.
    AdvanceToEvent,
}

/// Anything from nanoseconds to centuries, each size as likely as the next.
fn span() -> impl Strategy<Value = u64> {
    (0_u32..62, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => span().prop_map(Step::Insert),
        2 => any::<usize>().prop_map(Step::Cancel),
        2 => span().prop_map(Step::Advance),
        2 => Just(Step::AdvanceToEvent),
    ]
}

struct World {
    timers: Timers,
    now: u64,
    all: Vec<Timer>,
}

impl World {
    fn insert(&mut self, span: u64) {
        let wakes = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        let deadline = self.now.saturating_add(span);
        let entry = Box::pin(TimerEntry::new(deadline));
        // SAFETY: the entry is new; `drop` cancels it.
        let inserted = unsafe { self.timers.insert(entry.as_ref(), &waker) };
        let due = inserted == Inserted::Due;
        if due {
            assert!(tick_of(deadline) <= self.now / TICK_NS);
            assert!(entry.has_fired());
        }
        self.all.push(Timer {
            deadline,
            entry,
            wakes,
            waiting: !due,
        });
    }

    fn cancel(&mut self, index: usize) {
        if self.all.is_empty() {
            return;
        }
        let index = index % self.all.len();
        let timer = self.all.swap_remove(index);
        if timer.waiting {
            // SAFETY: it was inserted there.
            unsafe { self.timers.cancel(timer.entry.as_ref()) };
            assert_eq!(timer.wakes.0.load(Ordering::SeqCst), 0);
            // It has left at once: only the test holds its waker.
            assert_eq!(Arc::strong_count(&timer.wakes), 1);
        }
    }

    fn advance(&mut self, to: u64) {
        self.now = self.now.max(to);
        let fired = self.timers.fire(self.now);
        let mut expected = 0;
        for timer in &mut self.all {
            let wakes = timer.wakes.0.load(Ordering::SeqCst);
            if timer.waiting && tick_of(timer.deadline) <= self.now / TICK_NS {
                timer.waiting = false;
                expected += 1;
                assert_eq!(wakes, 1, "a timer of {} is late", timer.deadline);
            }
            assert!(wakes <= 1, "a timer went off twice");
            if timer.waiting {
                assert_eq!(wakes, 0, "a timer of {} is early", timer.deadline);
            }
        }
        assert_eq!(fired, expected);
    }

    /// The next event is never later than the next timer, is later than now,
    /// and there is none without a timer.
    fn check(&self) {
        let waiting = self.all.iter().filter(|timer| timer.waiting);
        let next = waiting.map(|timer| tick_of(timer.deadline)).min();
        let event = self.timers.next().map(|event| event / TICK_NS);
        assert_eq!(next.is_none(), event.is_none());
        assert!(event <= next);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        while !self.all.is_empty() {
            self.cancel(0);
        }
        if !std::thread::panicking() {
            assert_eq!(self.timers.next(), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 1_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_wheel_does_what_a_list_would(
        start in span(),
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 20 } else { 200 }),
    ) {
        let mut world = World { timers: Timers::new(), now: start, all: Vec::new() };
        for step in steps {
            match step {
                Step::Insert(span) => world.insert(span),
                Step::Cancel(index) => world.cancel(index),
                Step::Advance(span) => world.advance(world.now.saturating_add(span)),
                Step::AdvanceToEvent => {
                    if let Some(event) = world.timers.next() {
                        world.advance(event);
                    }
                }
            }
            world.check();
        }
    }

    /// A CPU that sleeps for a timer is woken for it a few times at most, however
    /// far away it is: no tick.
    #[test]
    fn a_far_timer_costs_a_few_wake_ups(start in span(), span in span()) {
        let mut world = World { timers: Timers::new(), now: start, all: Vec::new() };
        world.advance(start);
        world.insert(span);
        let mut events = 0;
        while let Some(event) = world.timers.next() {
            world.advance(event);
            events += 1;
        }
        prop_assert!(events <= 9, "{events} events");
    }
}
