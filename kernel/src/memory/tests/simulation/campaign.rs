//! Many seeds, on all CPUs of the host, and what to tell of them.
//!
//! By hand, with one of `SIM_SEED` (the first seed), `SIM_RUNS` (how many) and `SIM_SECONDS`
//! (or for how long) at least; `SIM_STEPS` says how many operations a run has, `SIM_CPUS`
//! makes all machines have so many CPUs. `cargo bootimage simulate` is the same with options.
//!
//! ```text
//! SIM_SECONDS=600 cargo test -p kernel --lib simulation::on_request -- --nocapture
//! ```

use super::plan::Plan;
use super::shrink::shrink;
use super::{OPERATIONS, simulate};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Seeds to run.
pub struct Campaign {
    first: u64,
    runs: u64,
    operations: usize,
    cpus: Option<usize>,
    /// No run begins after so long.
    pub time: Option<Duration>,
    /// A line now and then says how far it is, and failing seeds do not end it.
    long: bool,
}

/// What was done so far.
#[derive(Default)]
struct Done {
    runs: u64,
    operations: usize,
    points: u64,
    /// What each failing seed has found.
    wrong: BTreeMap<u64, String>,
}

/// What a thread of the host is busy with: a seed, since when.
#[derive(Default)]
struct Worker(Mutex<Option<(u64, Instant)>>);

/// A run takes milliseconds; one that takes so long hangs.
const HANGS: Duration = Duration::from_secs(60);
/// Between two lines that say how far a long campaign is.
const PROGRESS: Duration = Duration::from_secs(5);
/// Failing seeds after which a long campaign ends, too.
const ENOUGH: usize = 10;

impl Campaign {
    /// So many runs from the seed `first` on.
    pub fn new(first: u64, runs: u64, operations: usize) -> Campaign {
        Campaign {
            first,
            runs,
            operations,
            cpus: None,
            time: None,
            long: false,
        }
    }

    /// What the environment asks for, if it does.
    pub fn from_environment() -> Option<Campaign> {
        let number = |name: &str| -> Option<u64> {
            let value = std::env::var(name).ok()?;
            let number = value.parse();
            Some(number.unwrap_or_else(|_| panic!("{name}={value} is not a number")))
        };
        let (seed, runs) = (number("SIM_SEED"), number("SIM_RUNS"));
        let seconds = number("SIM_SECONDS");
        if seed.is_none() && runs.is_none() && seconds.is_none() {
            return None;
        }
        let all = seconds.map_or(1, |_| u64::MAX);
        Some(Campaign {
            first: seed.unwrap_or(1 << 32),
            runs: runs.unwrap_or(all),
            operations: number("SIM_STEPS").map_or(OPERATIONS, |steps| steps as usize),
            cpus: number("SIM_CPUS").map(|cpus| cpus as usize),
            time: seconds.map(Duration::from_secs),
            long: seconds.is_some(),
        })
    }

    fn plan(&self, seed: u64) -> Plan {
        let mut plan = Plan::new(seed, self.operations);
        plan.cpus = self.cpus.unwrap_or(plan.cpus);
        plan
    }

    /// Runs them all, and says how it went.
    ///
    /// # Panics
    /// If a seed has found something, with all that repeats it.
    pub fn run(&self) {
        let begin = Instant::now();
        let (next, done) = (AtomicU64::new(0), Mutex::new(Done::default()));
        let workers = thread::available_parallelism().map_or(1, usize::from) as u64;
        let workers: Vec<Worker> = (0..workers.min(self.runs))
            .map(|_| Worker::default())
            .collect();
        thread::scope(|scope| {
            let handles: Vec<_> = workers
                .iter()
                .map(|worker| scope.spawn(|| self.work(worker, &next, &done, begin)))
                .collect();
            let mut told = begin;
            while !handles.iter().all(thread::ScopedJoinHandle::is_finished) {
                thread::sleep(Duration::from_millis(20));
                workers.iter().for_each(|worker| self.watch(worker));
                if self.long && told.elapsed() > PROGRESS {
                    told = Instant::now();
                    println!("{}", done.lock().unwrap().summary(begin));
                }
            }
        });
        let done = done.into_inner().unwrap();
        println!("{}", done.summary(begin));
        if let Some((&seed, wrong)) = done.wrong.iter().next() {
            println!("seed {seed} is being shrunk ...");
            panic!("{}", self.report(seed, wrong, done.wrong.len()));
        }
    }

    /// What each thread of the host does.
    fn work(&self, worker: &Worker, next: &AtomicU64, done: &Mutex<Done>, begin: Instant) {
        let enough = if self.long { ENOUGH } else { 1 };
        while self.time.is_none_or(|time| begin.elapsed() < time)
            && done.lock().unwrap().wrong.len() < enough
        {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= self.runs {
                return;
            }
            let seed = self.first.wrapping_add(n);
            *worker.0.lock().unwrap() = Some((seed, Instant::now()));
            let run = simulate(&self.plan(seed), seed, false);
            *worker.0.lock().unwrap() = None;
            let mut done = done.lock().unwrap();
            done.runs += 1;
            done.operations += run.operations;
            done.points += run.points;
            if let Some(wrong) = run.wrong {
                println!("seed {seed}: {wrong}\n  again: {}", self.command(seed));
                done.wrong.insert(seed, wrong);
            }
        }
    }

    /// A simulated CPU that spins for another one never gives the other its turn: a defect
    /// that no scheduling point can notice.
    fn watch(&self, worker: &Worker) {
        if let Some((seed, since)) = *worker.0.lock().unwrap()
            && since.elapsed() > HANGS
        {
            eprintln!(
                "seed {seed} makes no progress\nagain: {}",
                self.command(seed)
            );
            std::process::abort();
        }
    }

    fn command(&self, seed: u64) -> String {
        let cpus = self.cpus.map(|cpus| format!(" SIM_CPUS={cpus}"));
        format!(
            "SIM_SEED={seed} SIM_STEPS={}{} cargo test -p kernel --lib simulation::on_request \
             -- --nocapture",
            self.operations,
            cpus.unwrap_or_default()
        )
    }

    /// All that is to be said of a seed that has found something.
    fn report(&self, seed: u64, wrong: &str, seeds: usize) -> String {
        let plan = self.plan(seed);
        let (cpus, operations) = (plan.cpus, plan.operations());
        let small = shrink(plan, seed);
        let run = simulate(&small.plan, small.order, true);
        let found = run.wrong.unwrap_or_default();
        format!(
            "seed {seed} ({seeds} failing so far), {cpus} CPUs, {operations} operations: {wrong}\n\
             again: {}\n\
             shrunk to {} operations: {found}\n{}\n\
             what happens there, in order {}:\n{}",
            self.command(seed),
            small.plan.operations(),
            small.plan,
            small.order,
            run.story.join("\n"),
        )
    }
}

impl Done {
    fn summary(&self, begin: Instant) -> String {
        let seconds = begin.elapsed().as_secs_f64();
        format!(
            "{} runs, {} steps and {} scheduling points in {seconds:.1} s: {:.0} steps and {:.0} \
             points per second; {} failing",
            self.runs,
            self.operations,
            self.points,
            self.operations as f64 / seconds,
            self.points as f64 / seconds,
            self.wrong.len(),
        )
    }
}
