//! Halted CPUs, and waking them (rule E3).
//!
//! Each CPU has one word:
//!
//! ```text
//!            park                      wake (one kick)
//!   AWAKE ----------> PARKED --------------------------> WOKEN
//!     ^                 |    wake to steal (one kick)      |
//!     |                 |------------------------> SEARCH  |
//!     +-----------------+-----------------------------+----+
//!                      unpark
//! ```
//!
//! The CPU itself makes the transitions to PARKED and to AWAKE; others exchange
//! PARKED for WOKEN or SEARCH, and the one who succeeds sends the kick. So a
//! halted CPU gets one kick, and one that runs gets none.
//!
//! A CPU that was woken to steal counts as searching from that moment on, so
//! that no second one is woken for the same task.

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
    /// There may be something for it.
    Plain,
    /// It was woken to steal, and counts as searching.
    Searching,
}

pub(crate) struct Parking {
    words: Box<[CachePadded<AtomicU8>]>,
    /// How many CPUs are not AWAKE: lets a wake-up on a busy machine skip the
    /// look at the words.
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

    /// This CPU says that it is about to halt. The caller looks at all queues
    /// afterwards.
    pub(crate) fn park(&self, cpu: usize) {
        self.parked.fetch_add(1, Ordering::SeqCst);
        if let Some(word) = self.word(cpu) {
            word.store(PARKED, Ordering::SeqCst);
        }
        // Pairs with the fences in `wake` and `wake_searcher`: either they see
        // PARKED, or the caller's look sees what they put into a queue.
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

    /// Something was put into a queue for `cpu`. True: it is parked, and the
    /// caller has to kick it.
    #[must_use]
    pub(crate) fn wake(&self, cpu: usize) -> bool {
        // Between the push into the queue and the look at the word.
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

    /// Something was put into a queue that any CPU may take from. `Some`: that
    /// CPU is parked, and the caller has to kick it.
    ///
    /// `after` is where the look begins, so that not always the same CPU is
    /// chosen.
    #[must_use]
    pub(crate) fn wake_searcher(&self, after: usize) -> Option<usize> {
        fence(Ordering::SeqCst);
        self.choose(after, self.words.len())
    }

    /// As [`wake_searcher`](Self::wake_searcher) for what this CPU has put into
    /// its own queue. Without a fence it may miss a CPU that parks this very
    /// moment; nothing is lost, since this CPU is awake and will come to the
    /// task itself, or offer it again before its next poll. Never chooses
    /// `after`, which may be this CPU in an interrupt that ends its halt.
    #[must_use]
    pub(crate) fn choose_searcher(&self, after: usize) -> Option<usize> {
        self.choose(after, self.words.len() - 1)
    }

    /// Chooses among the `count` CPUs after `after`.
    fn choose(&self, after: usize, count: usize) -> Option<usize> {
        if self.parked.load(Ordering::SeqCst) == 0 || self.searching.load(Ordering::SeqCst) != 0 {
            return None;
        }
        let cpus = self.words.len();
        // Counted before the exchange: the woken CPU may finish its search
        // before we get to count it.
        self.searching.fetch_add(1, Ordering::SeqCst);
        let found = (1..=count)
            .map(|offset| (after % cpus + offset) % cpus)
            .find(|&cpu| {
                self.word(cpu)
                    .is_some_and(|word| Self::exchange(word, SEARCH))
            });
        if found.is_none() {
            self.searching.fetch_sub(1, Ordering::SeqCst);
        }
        found
    }

    /// This CPU begins to search, unless enough do already.
    #[must_use]
    pub(crate) fn begin_search(&self) -> bool {
        // Half of the CPUs searching is enough to find what there is, and few
        // enough not to be in each other's way.
        if 2 * self.searching.load(Ordering::Relaxed) >= self.words.len().max(2) {
            return false;
        }
        self.searching.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// This CPU ends its search. True: it was the last one.
    pub(crate) fn end_search(&self) -> bool {
        self.searching.fetch_sub(1, Ordering::SeqCst) == 1
    }
}
