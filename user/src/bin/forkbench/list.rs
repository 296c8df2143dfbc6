//! The benchmarks by name, with the metrics that each reports.

use crate::bench::Benchmark;
use crate::storms::Storm;
use crate::{calls, children, faults, forks, programs, snapshot, storms, threads};

macro_rules! benchmarks {
    ($($name:literal, $kind:ident, $about:literal, [$($metric:literal),*], $run:expr;)*) => {
        &[$(Benchmark {
            name: $name,
            about: $about,
            metrics: &[$($metric),*],
            counts: benchmarks!(@ $kind),
            run: $run,
        }),*]
    };
    (@ counted) => { true };
    (@ timed) => { false };
}

pub static BENCHMARKS: &[Benchmark] = benchmarks! {
    "memory", timed, "what is free when nothing runs",
        ["memory.free"], calls::free_memory;
    "syscall", counted, "getppid, 100 in a row",
        ["syscall"], calls::system_call;
    "pipe-1", counted, "a byte to another process and back, both on one CPU",
        ["pipe.1-cpu"], |bench| calls::ping_pong(bench, 1);
    "pipe-2", timed, "the same on two CPUs",
        ["pipe.2-cpus"], |bench| calls::ping_pong(bench, 2);
    "fork-0", counted, "fork, exit and wait of a small process",
        ["fork.0M", "fork-wait.0M"], |bench| forks::sized(bench, 0);
    "fork-1", counted, "the same with 1 MiB touched",
        ["fork.1M", "fork-wait.1M"], |bench| forks::sized(bench, 1);
    "fork-16", counted, "the same with 16 MiB touched",
        ["fork.16M", "fork-wait.16M"], |bench| forks::sized(bench, 16);
    "fork-64", counted, "the same with 64 MiB touched",
        ["fork.64M", "fork-wait.64M"], |bench| forks::sized(bench, 64);
    "fork-256", counted, "the same with 256 MiB touched",
        ["fork.256M", "fork-wait.256M"], |bench| forks::sized(bench, 256);
    "fork-huge", timed, "the same where the kernel may use huge pages",
        ["fork.256M-huge", "fork-wait.256M-huge"], |bench| forks::huge(bench, 256);
    "fork-threads", counted, "fork, exit and wait of a process with 8 threads that sleep",
        ["fork.8-threads", "fork-wait.8-threads"], |bench| forks::with_threads(bench, 8);
    "fork-mmap-10", counted, "fork and the first mmap after it, of a process with 10 areas",
        ["fork-mmap.10-areas"], |bench| forks::with_areas(bench, 10);
    "fork-mmap-60k", counted, "the same with 60,000 areas",
        ["fork-mmap.60k-areas"], |bench| forks::with_areas(bench, 60_000);
    "fork-touch", counted, "fork, child writes a part of 64 MiB, exit and wait",
        ["fork-touch.1%", "fork-touch.10%", "fork-touch.100%"], forks::touched_by_child;
    "retouch", counted, "fork, exit and wait; then the parent writes all of its 64 MiB: the writes",
        ["retouch.64M"], forks::retouched_by_parent;
    "cow-copy", counted, "first write to a page that a child shares",
        ["cow.copy"], faults::copy;
    "cow-order", counted, "the same for 16 MiB, in sequence and in random order",
        ["cow.sequential", "cow.random"], faults::copy_in_order;
    "cow-reader", timed, "the same while another thread reads the pages",
        ["cow.beside-reader"], faults::copy_beside_reader;
    "cow-reuse", counted, "first write to a page whose other holder is gone: all pages of a table, and single ones",
        ["cow.reuse", "cow.reuse-single"], faults::reuse;
    "touch", counted, "first write, and first read, of fresh memory, per page",
        ["touch.write", "touch.read"], faults::first_touch;
    "execve", counted, "from execve to the new program's main",
        ["execve"], programs::execve;
    "vfork", counted, "vfork with execve: until vfork returns, and until the child was waited for",
        ["vfork-execve", "vfork-execve-wait"], programs::vfork;
    "thread", counted, "a thread that ends at once: until it was joined",
        ["thread.create-join"], threads::create_and_join;
    "futex", counted, "a futex wake-up of another thread, and one back",
        ["futex.round-trip"], threads::wake_ups;
    "alone", counted, "munmap of a page, mprotect, and a COW fault, in a process of one thread",
        ["munmap.0", "mprotect.0", "cow.copy.0"], |bench| threads::beside(bench, 0);
    "beside-1", timed, "the same with another thread that spins",
        ["munmap.1", "mprotect.1", "cow.copy.1"], |bench| threads::beside(bench, 1);
    "beside-2", timed, "the same with two",
        ["munmap.2", "mprotect.2", "cow.copy.2"], |bench| threads::beside(bench, 2);
    "beside-3", timed, "the same with three",
        ["munmap.3", "mprotect.3", "cow.copy.3"], |bench| threads::beside(bench, 3);
    "forkers-1", timed, "fork, exit and wait, a second",
        ["forkers.1"], |bench| storms::forkers(bench, Storm::of(1));
    "forkers-2", timed, "the same by two processes at once",
        ["forkers.2"], |bench| storms::forkers(bench, Storm::of(2));
    "forkers-4", timed, "the same by four",
        ["forkers.4"], |bench| storms::forkers(bench, Storm::of(4));
    "forkers-8", timed, "the same by eight",
        ["forkers.8"], |bench| storms::forkers(bench, Storm::of(8));
    "forkers-1-64", timed, "fork, exit and wait with 64 MiB touched, a second",
        ["forkers.1-64M"], |bench| storms::forkers(bench, Storm::of(1).of_64_mib());
    "forkers-2-64", timed, "the same by two processes at once",
        ["forkers.2-64M"], |bench| storms::forkers(bench, Storm::of(2).of_64_mib());
    "forkers-4-64", timed, "the same by four",
        ["forkers.4-64M"], |bench| storms::forkers(bench, Storm::of(4).of_64_mib());
    "forkers-8-64", timed, "the same by eight",
        ["forkers.8-64M"], |bench| storms::forkers(bench, Storm::of(8).of_64_mib());
    "forkers-on-1", timed, "four small forkers that share one CPU",
        ["forkers.4-on-1"], |bench| storms::forkers(bench, Storm::of(4).on(1));
    "forkers-on-2", timed, "the same on two CPUs",
        ["forkers.4-on-2"], |bench| storms::forkers(bench, Storm::of(4).on(2));
    "children", timed, "1,000 children of a process that has touched 1 GiB, alive at once; needs a machine of 4 GiB",
        ["children.start", "children.memory", "children.end"], children::alive;
    "snapshot", timed, "random writes to 64 MiB while a child reads all of it",
        ["snapshot.write"], snapshot::writes;
};
