//! Times: each kernel is booted in turn, round by round.

use std::fs;

use crate::bench::compare::{self, Kernel};
use crate::bench::guest::{Guest, Setting};
use crate::bench::linux::Linux;
use crate::bench::options::Bench;
use crate::bench::report::{Metric, Report, Unit};
use crate::bench::results::{self, Results};
use crate::bench::round::{Machine, fair_cpu};
use crate::bench::{document, html, json};
use crate::error::Result;
use crate::memory;
use crate::progress::step;
use crate::qemu;
use crate::workspace::Workspace;

/// How much memory the machine has unless the person says otherwise.
const MEMORY: &str = "1G";
/// And for the benchmarks that do not fit into that, which are measured in the first round
/// only: on Linux they take minutes.
const LARGE_MEMORY: &str = "4G";
/// Their names: the benchmark and its metrics.
const LARGE: [&str; 4] = [
    "children",
    "children.start",
    "children.memory",
    "children.end",
];

/// `bench` without `--count`.
pub fn run(workspace: &Workspace, bench: &Bench) -> Result<u8> {
    let results = measure(workspace, bench)?;
    print!("{}", results::table(&results).text());
    for (title, value) in &results.circumstances {
        println!("{title}: {value}");
    }
    if let Some(path) = &bench.json {
        json::write_times(path, &results)?;
    }
    if let Some(path) = &bench.html {
        html::write(path, &results)?;
    }
    if bench.document {
        document::write_times(workspace, &results)?;
    }
    Ok(0)
}

/// What is measured in one machine.
struct Group {
    /// Options for QEMU.
    qemu: Vec<String>,
    /// The command that the shell runs.
    command: String,
    /// In how many rounds.
    rounds: u32,
}

/// The benchmarks of a run. What needs more memory than the others has a machine of its own,
/// unless the person has chosen one for all.
fn groups(bench: &Bench) -> Vec<Group> {
    let named = |names: &[&str]| {
        let mut command = String::from("forkbench --lines");
        if bench.quick {
            command.push_str(" --quick");
        }
        for name in names {
            command.push_str(&format!(" --only {name}"));
        }
        command
    };
    let group = |memory: &str, names: &[&str], rounds: u32| Group {
        qemu: qemu_options(&bench.qemu, memory),
        command: named(names),
        rounds,
    };
    let only: Vec<&str> = bench.only.iter().map(String::as_str).collect();
    if qemu::gives(&bench.qemu, &["-m"]) {
        return vec![group(MEMORY, &only, bench.rounds)];
    }
    let (mut large, others): (Vec<&str>, Vec<&str>) =
        only.iter().partition(|name| LARGE.contains(name));
    let mut groups = Vec::new();
    if bench.only.is_empty() || !others.is_empty() {
        groups.push(group(MEMORY, &others, bench.rounds));
    }
    if bench.only.is_empty() {
        large.extend(LARGE.first());
    }
    if !large.is_empty() {
        groups.push(group(LARGE_MEMORY, &large, 1));
    }
    groups
}

fn measure(workspace: &Workspace, bench: &Bench) -> Result<Results> {
    let groups = groups(bench);
    let machine = Machine::new(workspace, bench.timeout)?;
    let linux = match (&bench.linux_kernel, bench.vs_linux()) {
        (Some(file), _) => Some(Linux::at(file)?),
        (None, true) => Some(Linux::debian(workspace)?),
        (None, false) => None,
    };
    let mut guests = vec![Guest::Cowfork];
    for setting in [Setting::AsBooted, Setting::Bare] {
        guests.extend(linux.as_ref().map(|linux| Guest::Linux(linux, setting)));
    }
    let mut kernels: Vec<Kernel> = guests
        .iter()
        .map(|guest| Kernel {
            name: guest.name(),
            rounds: Vec::new(),
        })
        .collect();
    for round in 0..bench.rounds {
        let groups: Vec<&Group> = groups.iter().filter(|group| round < group.rounds).collect();
        // Another one goes first in each round.
        for turn in 0..guests.len() {
            let index = (round as usize + turn) % guests.len();
            let title = format!(
                "round {} of {}, {}",
                round + 1,
                bench.rounds,
                kernels[index].name
            );
            let mut all = Report::default();
            for group in &groups {
                step("Measuring", &title);
                let mut report =
                    machine.boot(guests[index], &group.qemu, &group.command, &title)?;
                add_memory_in_use(&mut report, &group.qemu);
                all.add(report);
            }
            kernels[index].rounds.push(all);
        }
    }
    let mut circumstances: Vec<(String, String)> = groups
        .iter()
        .map(|group| ("machine".into(), group.qemu.join(" ")))
        .collect();
    circumstances.extend([
        ("QEMU".into(), machine.qemu_version()),
        ("host".into(), host()),
        ("rounds".into(), bench.rounds.to_string()),
    ]);
    if let Some(linux) = &linux {
        circumstances.push(("Linux".into(), linux.full_version().into()));
    }
    Ok(Results {
        lines: compare::lines(&kernels),
        kernels,
        circumstances,
    })
}

/// What QEMU itself runs on.
fn host() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim())
    });
    format!("{cpus} CPUs, {}", model.unwrap_or("of an unknown kind"))
}

/// The person's options, with defaults that are the same for all kernels.
fn qemu_options(own: &[String], memory: &str) -> Vec<String> {
    let mut options = Vec::new();
    for (option, value) in [("-smp", "4"), ("-m", memory), ("-cpu", fair_cpu())] {
        if !qemu::gives(own, &[option]) {
            options.extend([option.into(), value.into()]);
        }
    }
    options.extend_from_slice(own);
    options
}

/// What is not free, from what is free and what the machine has: the kernel itself,
/// its tables, the root file system, the shell.
fn add_memory_in_use(report: &mut Report, qemu: &[String]) {
    let total = qemu::chosen_memory(qemu).and_then(memory::bytes);
    let total = total.map(|bytes| bytes as f64 / 1024.0);
    if let (Some(total), Some(free)) = (total, report.get("memory.free"))
        && total > free.median()
    {
        let used = total - free.median();
        report.metrics.retain(|metric| metric.name != "memory.free");
        report.metrics.push(Metric {
            name: "memory.used".into(),
            unit: Unit::Kibibytes,
            count: 1,
            mean: used,
            quantiles: vec![(500, used)],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kernels_get_the_same_machine() {
        let own = ["-smp".into(), "2".into(), "--m".into(), "2G".into()];
        let options = qemu_options(&own, MEMORY);
        assert!(options.starts_with(&["-cpu".into()]), "{options:?}");
        assert!(options.ends_with(&own), "{options:?}");
    }

    fn commands(only: &[&str], qemu: &[&str]) -> Vec<(String, u32)> {
        let owned = |words: &[&str]| words.iter().map(|word| String::from(*word)).collect();
        let mut bench = Bench::default();
        bench.only = owned(only);
        bench.qemu = owned(qemu);
        let groups = groups(&bench);
        groups
            .into_iter()
            .map(|group| (group.command, group.rounds))
            .collect()
    }

    #[test]
    fn what_needs_much_memory_has_a_machine_of_its_own() {
        let lines = |words: &str, rounds| (format!("forkbench --lines{words}"), rounds);
        assert_eq!(
            commands(&[], &["-smp", "2"]),
            [lines("", 3), lines(" --only children", 1)]
        );
        assert_eq!(
            commands(&["fork-0", "children.end"], &[]),
            [lines(" --only fork-0", 3), lines(" --only children.end", 1)]
        );
        assert_eq!(commands(&["children"], &[]), [lines(" --only children", 1)]);
        assert_eq!(
            commands(&["children"], &["-m", "8G"]),
            [lines(" --only children", 3)]
        );
    }

    #[test]
    fn memory_in_use_is_what_is_not_free() {
        let text = "metric memory.free KiB n=1 mean=1048000.0 p50=1048000.0\nend 0\n";
        let mut report = Report::parse(text).expect("a report");
        add_memory_in_use(&mut report, &["-m".into(), "1G".into()]);
        let used = report.get("memory.used").expect("the metric");
        assert_eq!(used.median(), 576.0);
        assert!(report.get("memory.free").is_none());
    }
}
