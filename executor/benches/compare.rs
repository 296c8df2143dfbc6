//! Criterion benchmarks: this executor, with stats and without, tokio and
//! `async-executor` side by side.
//!
//! ```text
//! cargo bench --package executor --bench compare
//! ```
//!
//! That takes three minutes. `table` does the same work in turns and prints the
//! table of ratios, which is the better comparison on a machine that others use
//! too.

mod workloads;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::time::Duration;
use workloads::{Full, Lean, Runtime, Smol, Tokio, Workload};

fn bench<R: Runtime>(criterion: &mut Criterion, workload: Workload, threads: usize) {
    let runtime = R::new(threads);
    if workload.run(&runtime).is_none() {
        return;
    }
    let mut group = criterion.benchmark_group(workload.name());
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    group.bench_function(BenchmarkId::new(R::NAME, threads), |bencher| {
        bencher.iter_custom(|times| {
            (0..times)
                .filter_map(|_| workload.run(&runtime))
                .sum::<Duration>()
        });
    });
    group.finish();
}

fn compare(criterion: &mut Criterion) {
    for workload in Workload::ALL {
        for threads in [1, 2] {
            bench::<Lean>(criterion, workload, threads);
            bench::<Full>(criterion, workload, threads);
            bench::<Tokio>(criterion, workload, threads);
            bench::<Smol>(criterion, workload, threads);
        }
    }
}

criterion_group!(benches, compare);
criterion_main!(benches);
