//! The trace in Chrome's format (the "JSON object format" of "Trace Event Format"), which
//! Perfetto and Chrome's `about:tracing` show.
//!
//! CPUs are the threads of one process. Slices are complete events (`X`), marks instant
//! events (`i`), arrows a pair of flow events (`s` and `f`) with a number of their own.
//! `otherData` has the totals of `/proc/vmstat`, how much was lost of each CPU, and how
//! many arrows have no beginning for that reason.

use std::cmp::Reverse;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::Trace;
use super::rows::Rows;

/// Writes the trace.
pub fn write(trace: &Trace, out: &mut impl Write) -> io::Result<()> {
    let rows = Rows::of(trace);
    let other = json!({
        "vmstat": trace.totals,
        "lost": trace.lost,
        "unjoined": rows.unjoined,
    });
    write!(
        out,
        "{{\"displayTimeUnit\":\"ns\",\"otherData\":{other},\"traceEvents\":["
    )?;
    let process = metadata("process_name", 0, "name", json!("cowfork"));
    write!(out, "\n{process}")?;
    for cpu in 0..trace.cpus {
        let name = metadata("thread_name", cpu, "name", json!(format!("CPU {cpu}")));
        let order = metadata("thread_sort_index", cpu, "sort_index", json!(cpu));
        write!(out, ",\n{name},\n{order}")?;
    }
    for event in in_order(rows) {
        write!(out, ",\n{event}")?;
    }
    writeln!(out, "\n]}}")
}

fn metadata(what: &str, cpu: usize, key: &str, value: Value) -> Value {
    json!({ "ph": "M", "name": what, "pid": 0, "tid": cpu, "args": { key: value } })
}

/// All events in the order of time. Where slices begin at the same moment the outer one
/// comes first, and arrows come after the slices that they join.
fn in_order(rows: Rows) -> impl Iterator<Item = Value> {
    let mut events = Vec::new();
    for slice in rows.slices {
        let event = json!({
            "ph": "X", "name": slice.name, "cat": slice.category, "pid": 0, "tid": slice.cpu,
            "ts": micros(slice.begin), "dur": micros(slice.end - slice.begin), "args": slice.args,
        });
        events.push((slice.begin, Reverse(slice.end), event));
    }
    for mark in rows.marks {
        let event = json!({
            "ph": "i", "s": "t", "name": mark.name, "cat": "mark", "pid": 0, "tid": mark.cpu,
            "ts": micros(mark.time), "args": mark.args,
        });
        events.push((mark.time, Reverse(0), event));
    }
    for (id, arrow) in (1_u64..).zip(rows.arrows) {
        let end = |phase: &str, (cpu, time): (usize, u64)| {
            let event = json!({
                "ph": phase, "bp": "e", "id": id, "name": arrow.name, "cat": "flow",
                "pid": 0, "tid": cpu, "ts": micros(time),
            });
            (time, Reverse(0), event)
        };
        events.push(end("s", arrow.from));
        events.push(end("f", arrow.to));
    }
    // Stable: of slices that are equal the outer one comes first already.
    events.sort_by_key(|&(time, end, _)| (time, end));
    events.into_iter().map(|(_, _, event)| event)
}

/// Nanoseconds in the format's unit.
fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::tests::area;
    use super::*;

    const KINDS: &[&str] = &[
        "poll_begin task name more",
        "poll_end",
        "call_begin number pid",
        "call_end result",
        "shootdown id cpus pages",
        "ack id last",
        "drop frame level id",
        "copy address from to",
        "idle_begin halted",
        "idle_end",
    ];

    fn written(records: usize, rings: &[&[(u64, u64, [u64; 3])]]) -> Value {
        let trace = Trace::parse(&area(KINDS, records, rings)).expect("a trace");
        let mut text = Vec::new();
        write(&trace, &mut text).expect("a vector takes everything");
        serde_json::from_slice(&text).expect("JSON")
    }

    fn of_phase<'a>(trace: &'a Value, phase: &str) -> Vec<&'a Value> {
        let events = trace["traceEvents"].as_array().expect("a list");
        events.iter().filter(|event| event["ph"] == phase).collect()
    }

    #[test]
    fn a_call_that_waits_goes_on_in_the_next_poll() {
        // `read` (number 0) begins on CPU 0 and ends on CPU 1.
        let first = [
            (1000, 0, [7, 0, 0]),
            (2000, 2, [0, 5, 0]),
            (3000, 1, [0; 3]),
        ];
        let second = [
            (5000, 0, [7, 0, 0]),
            (6000, 3, [4, 0, 0]),
            (8000, 1, [0; 3]),
        ];
        let trace = written(8, &[&first, &second]);
        let slices: Vec<_> = of_phase(&trace, "X")
            .iter()
            .map(|x| {
                (
                    x["cat"].clone(),
                    x["tid"].clone(),
                    x["ts"].clone(),
                    x["dur"].clone(),
                )
            })
            .collect();
        let slice = |cat: &str, cpu: u32, ts: f64, dur: f64| {
            (json!(cat), json!(cpu), json!(ts), json!(dur))
        };
        assert_eq!(
            slices,
            [
                slice("poll", 0, 1.0, 2.0),
                slice("call", 0, 2.0, 1.0),
                slice("poll", 1, 5.0, 3.0),
                slice("call", 1, 5.0, 1.0),
            ]
        );
        let last = of_phase(&trace, "X")[3];
        assert_eq!(
            (&last["name"], &last["args"]["result"]),
            (&json!("read"), &json!(4))
        );
    }

    #[test]
    fn arrows_lead_from_the_shootdown_to_acks_and_from_the_last_one_to_drops() {
        let asks = [(1000, 4, [9, 0b110, 1])];
        let acks = [(2000, 5, [9, 0, 0])];
        let last = [
            (3000, 5, [9, 1, 0]),
            (3500, 6, [1, 0, 9]),
            (9000, 6, [2, 0, 0]),
        ];
        let trace = written(8, &[&asks, &acks, &last]);
        let ends: Vec<_> = ["s", "f"]
            .map(|phase| {
                let of = of_phase(&trace, phase);
                of.iter()
                    .map(|f| (f["id"].clone(), f["tid"].clone()))
                    .collect::<Vec<_>>()
            })
            .into();
        let pair = |id: u32, cpu: u32| (json!(id), json!(cpu));
        assert_eq!(ends[0], [pair(1, 0), pair(2, 0), pair(3, 2)]);
        assert_eq!(ends[1], [pair(1, 1), pair(2, 2), pair(3, 2)]);
        assert_eq!(trace["otherData"]["unjoined"], 0);
        // A moment ends where the next begins.
        let ack = of_phase(&trace, "X")[2];
        assert_eq!((&ack["ts"], &ack["dur"]), (&json!(3.0), &json!(0.5)));
    }

    #[test]
    fn a_cpu_without_work_is_awake_and_then_halted() {
        let ring = [
            (1000, 8, [0; 3]),
            (4000, 9, [0; 3]),
            (5000, 8, [1, 0, 0]),
            (9000, 9, [0; 3]),
        ];
        let trace = written(8, &[&ring]);
        let slices: Vec<_> = of_phase(&trace, "X")
            .iter()
            .map(|x| (x["name"].clone(), x["ts"].clone(), x["dur"].clone()))
            .collect();
        let slice = |name: &str, ts: f64, dur: f64| (json!(name), json!(ts), json!(dur));
        assert_eq!(
            slices,
            [slice("awake", 1.0, 3.0), slice("halted", 5.0, 4.0)]
        );
    }

    #[test]
    fn what_is_overwritten_leaves_no_loose_ends() {
        // Two records are left: the end of a poll, and an acknowledgement of an overwritten request.
        let ring = [(1, 0, [7, 0, 0]), (2, 1, [0; 3]), (3, 5, [9, 1, 0])];
        let trace = written(2, &[&ring]);
        assert_eq!(of_phase(&trace, "X").len(), 1);
        assert!(of_phase(&trace, "f").is_empty());
        assert_eq!(trace["otherData"]["unjoined"], 1);
        assert_eq!(trace["otherData"]["lost"], json!([1]));
    }
}
