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
use crate::progress::step;
use crate::qemu;
use crate::workspace::Workspace;

/// How much memory the machine has unless the person says otherwise.
const MEMORY: &str = "1G";

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

fn measure(workspace: &Workspace, bench: &Bench) -> Result<Results> {
    let mut command = String::from("forkbench --lines");
    if bench.quick {
        command.push_str(" --quick");
    }
    for name in &bench.only {
        command.push_str(&format!(" --only {name}"));
    }
    let mut machine = Machine::new(workspace, command, bench.timeout)?;
    machine.qemu = qemu_options(&bench.qemu);
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
    for round in 0..bench.rounds as usize {
        // Another one goes first in each round.
        for turn in 0..guests.len() {
            let index = (round + turn) % guests.len();
            let title = format!(
                "round {} of {}, {}",
                round + 1,
                bench.rounds,
                kernels[index].name
            );
            step("Measuring", &title);
            let mut report = machine.boot(guests[index], &title)?;
            add_memory_in_use(&mut report, &machine.qemu);
            kernels[index].rounds.push(report);
        }
    }
    let mut circumstances = vec![
        ("machine".into(), machine.qemu.join(" ")),
        ("QEMU".into(), machine.qemu_version()),
        ("host".into(), host()),
        ("rounds".into(), bench.rounds.to_string()),
    ];
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
fn qemu_options(own: &[String]) -> Vec<String> {
    let mut options = Vec::new();
    for (option, value) in [("-smp", "4"), ("-m", MEMORY), ("-cpu", fair_cpu())] {
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
    let total = qemu
        .windows(2)
        .rfind(|pair| pair[0].trim_start_matches('-') == "m");
    let total = total.and_then(|pair| kibibytes(&pair[1]));
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

/// A size as QEMU's `-m` takes it; `None` for what is more than that.
fn kibibytes(size: &str) -> Option<f64> {
    let digits = size.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let factor = match &size[digits.len()..] {
        "" | "M" | "m" => 1024.0,
        "G" | "g" => 1024.0 * 1024.0,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kernels_get_the_same_machine() {
        let own = ["-smp".into(), "2".into(), "--m".into(), "2G".into()];
        let options = qemu_options(&own);
        assert!(options.starts_with(&["-cpu".into()]), "{options:?}");
        assert!(options.ends_with(&own), "{options:?}");
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

    #[test]
    fn sizes_as_qemu_takes_them() {
        assert_eq!(kibibytes("512"), Some(512.0 * 1024.0));
        assert_eq!(kibibytes("64M"), Some(64.0 * 1024.0));
        assert_eq!(kibibytes("2G"), Some(2.0 * 1024.0 * 1024.0));
        assert_eq!(kibibytes("1G,slots=2"), None);
    }
}
