//! Why the scheduler has queues of its own: `crossbeam_queue`'s for the same
//! job, which is a push and a pop of a pointer by the CPU that owns the queue.
//!
//! ```text
//! cargo bench --package executor --bench queues
//! ```
//!
//! The ring itself is private; what is measured is its algorithm: a push
//! without a read-modify-write, a pop with one.

use criterion::{Criterion, criterion_group, criterion_main};
use crossbeam_queue::{ArrayQueue, SegQueue};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

const CAPACITY: usize = 1024;

/// The algorithm of `scheduler::ring`.
struct Ring {
    head: AtomicUsize,
    tail: AtomicUsize,
    entries: [AtomicUsize; CAPACITY],
}

impl Ring {
    fn push(&self, value: usize) -> bool {
        let tail = self.tail.load(Ordering::Relaxed);
        if tail.wrapping_sub(self.head.load(Ordering::Acquire)) >= CAPACITY {
            return false;
        }
        self.entries[tail % CAPACITY].store(value, Ordering::Relaxed);
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        true
    }

    fn pop(&self) -> Option<usize> {
        let tail = self.tail.load(Ordering::Relaxed);
        let mut head = self.head.load(Ordering::Relaxed);
        while head != tail {
            let value = self.entries[head % CAPACITY].load(Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head,
                head.wrapping_add(1),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(value),
                Err(now) => head = now,
            }
        }
        None
    }
}

fn queues(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("64 pushes and pops by the owner");
    group.bench_function("ring", |bencher| {
        let ring = Ring {
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            entries: [const { AtomicUsize::new(0) }; CAPACITY],
        };
        bencher.iter(|| {
            for i in 0..64 {
                ring.push(black_box(i));
            }
            while let Some(value) = ring.pop() {
                black_box(value);
            }
        });
    });
    group.bench_function("ArrayQueue", |bencher| {
        let queue = ArrayQueue::new(CAPACITY);
        bencher.iter(|| {
            for i in 0..64 {
                queue.push(black_box(i)).ok();
            }
            while let Some(value) = queue.pop() {
                black_box(value);
            }
        });
    });
    group.bench_function("SegQueue", |bencher| {
        let queue = SegQueue::new();
        bencher.iter(|| {
            for i in 0..64 {
                queue.push(black_box(i));
            }
            while let Some(value) = queue.pop() {
                black_box(value);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, queues);
criterion_main!(benches);
