//! The kernel's event trace: its totals, its arrows and its slices.

use std::collections::{HashMap, HashSet};

use boot::trace::{Trace, chrome};
use boot::verdict::Verdict;
use serde_json::Value;
use tests::Boot;

/// Events that are counted in `/proc/vmstat` too, and where.
const COUNTED: [(&str, &str); 10] = [
    ("fault_begin", "faults"),
    ("copy", "cow_copies"),
    ("reuse", "cow_reuses"),
    ("table_copy", "cow_table_copies"),
    ("table_reuse", "cow_table_reuses"),
    ("zero_fill", "zero_fills"),
    ("shootdown", "shootdowns_sent"),
    ("interrupt", "shootdown_interrupts"),
    ("retire", "references_retired"),
    ("drop", "references_dropped"),
];

/// An event of the JSON file.
struct Drawn<'a>(&'a Value);

impl<'a> Drawn<'a> {
    fn text(&self, key: &str) -> &'a str {
        self.0[key].as_str().unwrap_or_default()
    }

    fn cpu(&self) -> u64 {
        self.0["tid"].as_u64().expect("a row")
    }

    /// Nanoseconds.
    fn time(&self, key: &str) -> u64 {
        (self.0[key].as_f64().expect("a time") * 1000.0).round() as u64
    }

    fn end(&self) -> u64 {
        self.time("ts") + self.time("dur")
    }

    fn arg(&self, key: &str) -> u64 {
        self.0["args"][key].as_u64().expect("an argument")
    }

    /// CPU and beginning.
    fn place(&self) -> (u64, u64) {
        (self.cpu(), self.time("ts"))
    }
}

/// The file that Perfetto gets.
fn drawn(trace: &Trace) -> Value {
    let mut file = Vec::new();
    chrome::write(trace, &mut file).expect("a vector takes everything");
    serde_json::from_slice(&file).expect("JSON")
}

fn of_phase<'a>(file: &'a Value, phase: &str) -> Vec<Drawn<'a>> {
    let events = file["traceEvents"].as_array().expect("a list").iter();
    events
        .filter(|event| event["ph"] == phase)
        .map(Drawn)
        .collect()
}

/// Runs a command and checks all that holds of every trace. Returns how many shootdowns
/// it has.
fn checked(command: &str) -> usize {
    let outcome = Boot::new()
        .cpus(4)
        .memory("512M")
        .trace(1 << 18)
        .exec(command)
        .run();
    outcome.assert_status(0);
    let trace = outcome.trace().expect("a trace");
    assert_eq!(trace.lost, [0; 4], "the rings are large enough");
    totals_agree(trace);
    let file = drawn(trace);
    assert_eq!(file["otherData"]["unjoined"], 0);
    slices_nest(&file);
    arrows_join(&file)
}

#[test]
fn the_trace_of_a_fork_storm_adds_up() {
    // So much work, not so much time: a fast machine would overrun the rings.
    checked("forkstorm --forkers 12 --seconds 30 --forks 3000");
}

#[test]
fn arrows_lead_from_the_shootdowns_of_threads_to_what_they_release() {
    assert!(checked("threadtest a-thousand-lives") > 0);
}

/// Each event is counted, and each count is an event.
fn totals_agree(trace: &Trace) {
    for (event, counter) in COUNTED {
        let events = trace.events.iter().filter(|e| e.name() == event).count();
        let total = trace.totals.get(counter).copied();
        assert_eq!(Some(events as u64), total, "{event} and {counter}");
    }
    for begin in ["poll", "call", "fault", "idle"] {
        let count = |what: &str| {
            let name = format!("{begin}_{what}");
            trace.events.iter().filter(|e| e.name() == name).count()
        };
        let open = count("begin") - count("end");
        // The poll that ends the machine has no end, and other CPUs may be in one as well, or idle.
        let ends_early = matches!(begin, "poll" | "idle");
        let at_most = if ends_early { trace.cpus } else { 0 };
        assert!(open <= at_most, "{open} {begin}s have no end");
    }
}

/// On each row a slice is in another or beside it.
fn slices_nest(file: &Value) {
    let mut open: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut before = 0;
    let slices = of_phase(file, "X");
    assert!(!slices.is_empty());
    for slice in slices {
        let (begin, end) = (slice.time("ts"), slice.end());
        assert!(begin >= before, "slices are in the order of time");
        before = begin;
        let row = open.entry(slice.cpu()).or_default();
        while row.pop_if(|end| *end <= begin).is_some() {}
        assert!(row.last().is_none_or(|&outer| end <= outer), "{}", slice.0);
        row.push(end);
    }
}

/// Each arrow has two ends, in slices that it may join, in the order of time; and each
/// acknowledgement and each drop that it explains has one. Returns how many shootdowns
/// there are.
fn arrows_join(file: &Value) -> usize {
    let slices = of_phase(file, "X");
    let places: HashSet<_> = slices.iter().map(|s| (s.text("name"), s.place())).collect();
    let (starts, ends) = (of_phase(file, "s"), of_phase(file, "f"));
    assert_eq!(starts.len(), ends.len());
    let starts: HashMap<u64, Drawn> = starts
        .into_iter()
        .map(|start| (start.0["id"].as_u64().expect("a number"), start))
        .collect();
    assert_eq!(
        starts.len(),
        ends.len(),
        "no two arrows have the same number"
    );
    let mut arrows = HashMap::new();
    for end in ends {
        let start = &starts[&end.0["id"].as_u64().expect("a number")];
        assert!(start.time("ts") <= end.time("ts"), "{} {}", start.0, end.0);
        let (from, to) = match end.text("name") {
            "shootdown" => ("shootdown", "ack"),
            "release" => ("ack", "drop"),
            other => panic!("an arrow called {other}"),
        };
        assert!(places.contains(&(from, start.place())), "{}", start.0);
        assert!(places.contains(&(to, end.place())), "{}", end.0);
        *arrows.entry((from, start.place())).or_insert(0) += 1;
        *arrows.entry((to, end.place())).or_insert(0) += 1;
    }
    for slice in slices.iter() {
        let arrows = |name| arrows.get(&(name, slice.place())).copied().unwrap_or(0);
        match slice.text("name") {
            "shootdown" => {
                let cpus = slice.0["args"]["cpus"].as_str().expect("a set");
                let cpus = u64::from_str_radix(cpus.trim_start_matches("0x"), 16);
                let asked = cpus.expect("a set").count_ones();
                assert!(arrows("shootdown") >= asked, "{}", slice.0);
            }
            "ack" => assert!(arrows("ack") > 0, "{}", slice.0),
            "drop" if slice.arg("id") != 0 => assert!(arrows("drop") > 0, "{}", slice.0),
            _ => {}
        }
    }
    let is_shootdown = |slice: &&Drawn| slice.text("name") == "shootdown";
    slices.iter().filter(is_shootdown).count()
}

#[test]
fn a_small_ring_has_the_newest_events() {
    let outcome = Boot::new()
        .trace(128)
        .exec("forkstorm --forkers 2 --seconds 1")
        .run();
    outcome.assert_status(0);
    let trace = outcome.trace().expect("a trace");
    assert_eq!(trace.events.len() + trace.totals.len(), 2 * 128);
    assert!(trace.lost.iter().all(|&lost| lost > 0));
    // What is left of the beginning does not matter: it is drawn all the same.
    slices_nest(&drawn(trace));
}

#[test]
fn a_panic_has_a_trace_and_reports_its_last_events() {
    let outcome = Boot::new()
        .trace(1024)
        .kernel_arg("selftest", "panic")
        .exec("true")
        .run();
    outcome.assert(matches!(outcome.verdict(), Verdict::Panicked(_)), "a panic");
    outcome.assert_logs("last events of cpu0:");
    outcome.assert_logs(" poll_begin task=");
    let trace = outcome.trace().expect("a trace");
    let last = trace.events.last().expect("events");
    assert_eq!(last.name(), "poll_begin", "the poll that panicked");
}

#[test]
fn without_the_parameter_there_is_none() {
    let outcome = Boot::new().exec("true").run();
    outcome.assert_status(0);
    assert!(outcome.trace().is_none());
    outcome.assert(!outcome.log().contains("trace:"), "no trace in the log");
}
