//! The kernel's event trace, out of the machine's memory.
//!
//! The kernel keeps the events of each CPU in a ring in physical memory, and logs where.
//! The machine's memory is a file here ([`Boot::memory`](crate::qemu::Boot::memory)), so
//! nothing has to be sent: the trace is there however the machine ended.
//!
//! The memory describes itself by a page of text: how many CPUs and records there are,
//! and what the numbers of events, of their words and of counters mean. The layout is in
//! the kernel's `trace/ring.rs`. [`chrome`] makes of it what Perfetto shows.

pub mod chrome;
mod rows;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Doing, Error, Result};

/// What the kernel recorded.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// How many CPUs there were.
    pub cpus: usize,
    /// What happened, in the order of time.
    pub events: Vec<Event>,
    /// How many older events of each CPU were overwritten.
    pub lost: Vec<u64>,
    /// The counters of `/proc/vmstat` at the end, if the machine powered off.
    pub totals: BTreeMap<String, u64>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in nanoseconds of the kernel's clock.
    pub time: u64,
    /// On which CPU.
    pub cpu: usize,
    /// What.
    pub kind: Kind,
    /// With which numbers; the kind has their names.
    pub words: [u64; WORDS],
}

/// The name of an event, and those of its words.
pub type Kind = std::sync::Arc<(String, Vec<String>)>;

/// Words of an event.
const WORDS: usize = 3;
/// Bytes of a record: the time and the kind in one word, then the others.
const RECORD: usize = 8 * (1 + WORDS);
const PAGE: usize = 4096;
const TIME_BITS: u32 = 48;

impl Event {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.kind.0
    }

    /// Its words with their names.
    pub fn named_words(&self) -> impl Iterator<Item = (&str, u64)> {
        let names = self.kind.1.iter().map(String::as_str);
        names.zip(self.words)
    }
}

impl Trace {
    /// Reads the trace out of the machine's memory; the kernel's log says where it is.
    /// `None` if the log does not say.
    pub fn read(memory: &Path, log: &str) -> Result<Option<Self>> {
        let Some((bytes, address)) = log.lines().find_map(place) else {
            return Ok(None);
        };
        // Without the file the trace was asked for by `--kernel-arg`, and is not read.
        let Ok(mut file) = File::open(memory) else {
            return Ok(None);
        };
        let mut area = vec![0; bytes];
        file.seek(SeekFrom::Start(address))
            .and_then(|_| file.read_exact(&mut area))
            .on("read", memory)?;
        Self::parse(&area).map(Some)
    }

    /// Takes the memory of the trace apart.
    pub fn parse(area: &[u8]) -> Result<Self> {
        let text = area
            .get(..PAGE)
            .ok_or_else(|| malformed("it is too short"))?;
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        let mut lines = text.lines();
        if lines.next() != Some("cowfork trace 1") {
            return Err(malformed("it does not begin as one of version 1"));
        }
        let (mut cpus, mut records) = (0, 0);
        let (mut kinds, mut counters) = (Vec::<Kind>::new(), Vec::new());
        for line in lines {
            let mut words = line.split(' ');
            let mut word = || words.next().unwrap_or_default();
            let (what, number) = (word(), word());
            match what {
                "cpus" => cpus = number.parse().unwrap_or(0),
                "records" => records = number.parse().unwrap_or(0),
                // Events and counters are listed by number, from 0 on.
                "event" => {
                    let name = word().to_owned();
                    kinds.push(Kind::new((name, words.map(str::to_owned).collect())));
                }
                "counter" => counters.push(word().to_owned()),
                _ => return Err(malformed(&format!("`{line}` is not understood"))),
            }
        }
        let mut trace = Self {
            cpus,
            ..Self::default()
        };
        let ring_bytes = PAGE + (records * RECORD).next_multiple_of(PAGE);
        for cpu in 0..cpus {
            let start = PAGE + cpu * ring_bytes;
            let ring = area.get(start..start + ring_bytes);
            let ring = ring.ok_or_else(|| malformed("it is too short"))?;
            trace.add_ring(cpu, records, &kinds, ring)?;
        }
        // Stable: what one CPU did within a nanosecond stays in order.
        trace.events.sort_by_key(|event| event.time);
        trace.take_totals(&counters);
        Ok(trace)
    }

    fn add_ring(&mut self, cpu: usize, records: usize, kinds: &[Kind], ring: &[u8]) -> Result<()> {
        let (head, places) = ring.split_at(PAGE);
        let written = word(head, 0);
        let lost = written.saturating_sub(records as u64);
        self.lost.push(lost);
        for n in lost..written {
            let place = &places[n as usize % records * RECORD..];
            let first = word(place, 0);
            let kind = (first >> TIME_BITS) as usize;
            let kind = kinds.get(kind);
            let kind = kind.ok_or_else(|| malformed("an event has no name"))?;
            self.events.push(Event {
                time: first & ((1 << TIME_BITS) - 1),
                cpu,
                kind: kind.clone(),
                words: [1, 2, 3].map(|index| word(place, index)),
            });
        }
        Ok(())
    }

    /// The totals are records too, the last ones.
    fn take_totals(&mut self, counters: &[String]) {
        let totals = &mut self.totals;
        self.events.retain(|event| {
            let is_total = event.name() == "total";
            if is_total && let Some(name) = counters.get(event.words[0] as usize) {
                totals.insert(name.clone(), event.words[1]);
            }
            !is_total
        });
    }
}

/// The bytes and the address in a line of the log that tells where the trace is.
fn place(line: &str) -> Option<(usize, u64)> {
    let (bytes, address) = line.strip_prefix("trace: ")?.split_once(" bytes at 0x")?;
    Some((bytes.parse().ok()?, u64::from_str_radix(address, 16).ok()?))
}

fn word(bytes: &[u8], index: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[8 * index..8 * (index + 1)]);
    u64::from_le_bytes(word)
}

fn malformed(why: &str) -> Error {
    Error::Malformed(format!("the kernel's trace cannot be read: {why}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The memory of a trace, with these events of each CPU: time, kind, words.
    pub(crate) fn area(
        kinds: &[&str],
        records: usize,
        rings: &[&[(u64, u64, [u64; 3])]],
    ) -> Vec<u8> {
        let mut text = format!("cowfork trace 1\ncpus {}\nrecords {records}\n", rings.len());
        for (number, kind) in kinds.iter().enumerate() {
            text.push_str(&format!("event {number} {kind}\n"));
        }
        text.push_str("counter 0 faults\ncounter 1 forks\n");
        let mut area = text.into_bytes();
        area.resize(PAGE, 0);
        for ring in rings {
            let start = area.len();
            let size = PAGE + (records * RECORD).next_multiple_of(PAGE);
            area.resize(start + size, 0);
            area[start..start + 8].copy_from_slice(&(ring.len() as u64).to_le_bytes());
            for (n, &(time, kind, words)) in ring.iter().enumerate() {
                let mut place = start + PAGE + n % records * RECORD;
                for word in [kind << TIME_BITS | time, words[0], words[1], words[2]] {
                    area[place..place + 8].copy_from_slice(&word.to_le_bytes());
                    place += 8;
                }
            }
        }
        area
    }

    #[test]
    fn rings_are_merged_in_the_order_of_time() {
        let first = [(5, 0, [1, 2, 0]), (9, 1, [0; 3])];
        let second = [(7, 1, [0; 3])];
        let area = area(&["copy from to", "poll_end"], 4, &[&first, &second]);
        let trace = Trace::parse(&area).expect("a trace");
        let order: Vec<_> = trace
            .events
            .iter()
            .map(|e| (e.time, e.cpu, e.name()))
            .collect();
        assert_eq!(
            order,
            [(5, 0, "copy"), (7, 1, "poll_end"), (9, 0, "poll_end")]
        );
        let words: Vec<_> = trace.events[0].named_words().collect();
        assert_eq!(words, [("from", 1), ("to", 2)]);
    }

    #[test]
    fn a_ring_that_went_round_has_its_newest() {
        let ring: Vec<_> = (0..7).map(|n| (n, 0, [n, 0, 0])).collect();
        let trace = Trace::parse(&area(&["x n"], 4, &[&ring])).expect("a trace");
        assert_eq!(trace.lost, [3]);
        let left: Vec<_> = trace.events.iter().map(|event| event.words[0]).collect();
        assert_eq!(left, [3, 4, 5, 6]);
    }

    #[test]
    fn totals_are_no_events() {
        let ring = [(1, 0, [1, 77, 0]), (2, 1, [0; 3])];
        let trace = Trace::parse(&area(&["total counter value", "x"], 4, &[&ring]));
        let trace = trace.expect("a trace");
        assert_eq!(trace.totals.get("forks"), Some(&77));
        assert_eq!(trace.events.len(), 1);
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        assert!(Trace::parse(b"cowfork trace 1").is_err());
        assert!(Trace::parse(&[0; 2 * PAGE]).is_err());
        let mut short = area(&["x"], 4, &[&[]]);
        short.truncate(PAGE + 100);
        assert!(Trace::parse(&short).is_err());
        let unnamed = area(&["x"], 4, &[&[(0, 1, [0; 3])]]);
        assert!(Trace::parse(&unnamed).is_err());
    }

    #[test]
    fn the_log_says_where_it_is() {
        assert_eq!(place("trace: 8192 bytes at 0x1f000"), Some((8192, 0x1f000)));
        assert_eq!(place("trace: something else"), None);
    }
}
