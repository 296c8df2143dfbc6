//! Halted CPUs, and waking them (rule E3).
//!
//! Each CPU has one word:
//!
//! ```text
//!            park                 wake (one reschedule IPI)
//!   AWAKE ----------> PARKED --------------------------> WOKEN
//!     ^                 |    wake to steal (one IPI)       |
//!     |                 |------------------------> SEARCH  |
//!     +-----------------+-----------------------------+----+
//!                      unpark
//! ```
//!
//! The CPU itself stores PARKED and AWAKE; other CPUs exchange PARKED for WOKEN or SEARCH,
//! and the CPU whose exchange succeeds sends the IPI. So a halted CPU gets one IPI, and a
//! running one none.
//!
//! # No lost wake-up
//!
//! A CPU that halts stores PARKED, executes a SeqCst fence, and loads all queues. A CPU that
//! wakes stores a task into a queue, executes a SeqCst fence, and loads the words. The two
//! fences have an order: either the load of the word observes PARKED, or the load of the queue
//! observes the task.
//!
//! # Searchers
//!
//! A CPU that was woken to steal counts as searching from the exchange on, so that no second
//! CPU is woken for the same task: while the count is not 0, nothing is woken for a task that
//! any CPU may run. The wake-up that was left out is made up for when the count falls to 0:
//!
//! - A searcher that found something looks at the queues after it has left the count
//!   ([`end_search`](Parking::end_search)), and wakes the next searcher if there is more.
//! - A searcher that found nothing parks, and looks at all queues after that.
//! - A waking CPU that counted a searcher and then found no CPU to wake looks at the words again
//!   after it has taken that back ([`choose`](Parking::choose)): a CPU may have parked, and
//!   another waking CPU may have observed the count and left its wake-up out.
//!
//! Each of the three has a SeqCst fence between leaving the count and the look. The waking CPU
//! that observed the count had its own fence before that load, so its task is in a queue before
//! the look begins.

use crate::facade::atomic::{AtomicU8, AtomicUsize, Ordering, fence};
use alloc::boxed::Box;
use crossbeam_utils::CachePadded;

const AWAKE: u8 = 0;
const PARKED: u8 = 1;
const WOKEN: u8 = 2;
const SEARCH: u8 = 3;

/// How a CPU came out of the halt.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unparked {
    /// There may be something in its queues.
    Plain,
    /// It was woken to steal, and counts as searching.
    Searching,
}

pub(crate) struct Parking {
    words: Box<[CachePadded<AtomicU8>]>,
    /// How many CPUs are not AWAKE: on a busy machine a wake-up loads this one word
    /// instead of all the others.
    parked: CachePadded<AtomicUsize>,
    /// How many CPUs search for work.
    searching: CachePadded<AtomicUsize>,
}

impl Parking {
    pub(crate) fn new(cpus: usize) -> Self {
        Self {
            words: (0..cpus)
                .map(|_| CachePadded::new(AtomicU8::new(AWAKE)))
                .collect(),
            parked: CachePadded::new(AtomicUsize::new(0)),
            searching: CachePadded::new(AtomicUsize::new(0)),
        }
    }

    fn word(&self, cpu: usize) -> Option<&AtomicU8> {
        self.words.get(cpu).map(|word| &**word)
    }

    /// This CPU is about to halt. The caller looks at all queues afterwards.
    pub(crate) fn park(&self, cpu: usize) {
        self.parked.fetch_add(1, Ordering::SeqCst);
        if let Some(word) = self.word(cpu) {
            word.store(PARKED, Ordering::SeqCst);
        }
        // Pairs with the fences in `wake`, `wake_searcher` and `choose`: either their loads of
        // the word observe PARKED, or the caller's look observes the task.
        fence(Ordering::SeqCst);
    }

    /// This CPU is awake again.
    pub(crate) fn unpark(&self, cpu: usize) -> Unparked {
        self.parked.fetch_sub(1, Ordering::SeqCst);
        match self
            .word(cpu)
            .map(|word| word.swap(AWAKE, Ordering::AcqRel))
        {
            Some(SEARCH) => Unparked::Searching,
            _ => Unparked::Plain,
        }
    }

    /// Is any CPU parked? A hint.
    pub(crate) fn any_parked(&self) -> bool {
        self.parked.load(Ordering::Relaxed) != 0
    }

    /// Is this CPU parked? A hint.
    pub(crate) fn is_parked(&self, cpu: usize) -> bool {
        self.word(cpu)
            .is_some_and(|word| word.load(Ordering::Relaxed) == PARKED)
    }

    /// Is any CPU searching? A hint.
    pub(crate) fn any_searching(&self) -> bool {
        self.searching.load(Ordering::Relaxed) != 0
    }

    /// A task was put into a queue of `cpu`. True: that CPU is parked, and the
    /// caller has to send it an IPI.
    #[must_use]
    pub(crate) fn wake(&self, cpu: usize) -> bool {
        // Between the store into the queue and the load of the word; pairs with `park`.
        fence(Ordering::SeqCst);
        self.word(cpu)
            .is_some_and(|word| Self::exchange(word, WOKEN))
    }

    fn exchange(word: &AtomicU8, to: u8) -> bool {
        word.load(Ordering::SeqCst) == PARKED
            && word
                .compare_exchange(PARKED, to, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
    }

    /// A task was put into a queue that any CPU may take from. `Some`: that
    /// CPU is parked, and the caller has to send it an IPI.
    ///
    /// The look begins behind `after`, so that the same CPU is not chosen each time.
    #[must_use]
    pub(crate) fn wake_searcher(&self, after: usize) -> Option<usize> {
        // Between the store into the queue and the loads of the words; pairs with `park`.
        fence(Ordering::SeqCst);
        self.choose(after, self.words.len())
    }

    /// As [`wake_searcher`](Self::wake_searcher), after a [`wake`](Self::wake) that found its
    /// CPU awake: the fence of that call orders this one too.
    #[must_use]
    pub(crate) fn add_searcher(&self, after: usize) -> Option<usize> {
        self.choose(after, self.words.len())
    }

    /// As [`wake_searcher`](Self::wake_searcher), for a task that this CPU (`this`) has put into
    /// its own queue. Without a fence it may miss a CPU that parks at the same time. Nothing
    /// is lost: this CPU is awake, or in an interrupt that ends its halt, and will run the task
    /// itself or offer it again before its next poll. For the same reason it never chooses itself.
    #[must_use]
    pub(crate) fn wake_helper(&self, this: usize) -> Option<usize> {
        self.choose(this, self.words.len() - 1)
    }

    /// Chooses among the `count` CPUs behind `after`.
    fn choose(&self, after: usize, count: usize) -> Option<usize> {
        let cpus = self.words.len();
        let words = || {
            (1..=count)
                .map(|offset| (after % cpus + offset) % cpus)
                .filter_map(|cpu| Some((cpu, self.word(cpu)?)))
        };
        loop {
            if self.parked.load(Ordering::SeqCst) == 0 || self.searching.load(Ordering::SeqCst) != 0
            {
                return None;
            }
            // Counted before the exchange: the woken CPU may finish its search
            // before this CPU gets to count it.
            self.searching.fetch_add(1, Ordering::SeqCst);
            if let Some((cpu, _)) = words().find(|(_, word)| Self::exchange(word, SEARCH)) {
                return Some(cpu);
            }
            self.searching.fetch_sub(1, Ordering::SeqCst);
            // Another waking CPU that observed the count has left its wake-up to this one: see
            // the module's head. Pairs with its fence and with the one in `park`.
            fence(Ordering::SeqCst);
            if !words().any(|(_, word)| word.load(Ordering::SeqCst) == PARKED) {
                return None;
            }
        }
    }

    /// This CPU begins to search, unless enough do already.
    #[must_use]
    pub(crate) fn begin_search(&self) -> bool {
        // Half of the CPUs are enough to find what there is, and few enough to keep out of
        // each other's way.
        if 2 * self.searching.load(Ordering::Relaxed) >= self.words.len().max(2) {
            return false;
        }
        self.searching.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// This CPU ends its search. True: it was the last one, and the caller looks whether there
    /// is more to be found.
    pub(crate) fn end_search(&self) -> bool {
        let was_last = self.searching.fetch_sub(1, Ordering::SeqCst) == 1;
        // Between leaving the count and the caller's look: see the module's head.
        fence(Ordering::SeqCst);
        was_last
    }
}
