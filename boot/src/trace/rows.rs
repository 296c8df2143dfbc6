//! Slices, marks and arrows on a row for each CPU, out of events.
//!
//! What begins and ends becomes a slice: polls, and in them system calls, and in those or
//! by themselves page faults; and the times in which a CPU waits for work. A call or fault
//! that waits outlives its poll and goes on in another, perhaps on another CPU: it is one
//! slice in each poll. Where an overwritten ring has lost a beginning, its end is left out;
//! where there is no end, the last event of the CPU is it. So slices always nest.
//!
//! Arrows need a slice at both ends. So a shootdown, its acknowledgements and the drops of
//! what it released are slices as well, until the CPU's next event or for a microsecond.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use syscalls::x86_64::Sysno;

use super::{Event, Trace};

/// How long something takes that has no end, in nanoseconds, at most.
const MOMENT: u64 = 1000;

/// Something that takes time.
pub struct Slice {
    pub name: String,
    pub category: &'static str,
    pub cpu: usize,
    pub begin: u64,
    pub end: u64,
    pub args: Value,
}

/// Something that takes none.
pub struct Mark {
    pub name: String,
    pub cpu: usize,
    pub time: u64,
    pub args: Value,
}

/// From one slice to another.
pub struct Arrow {
    pub name: &'static str,
    /// CPU and time.
    pub from: (usize, u64),
    /// CPU and time.
    pub to: (usize, u64),
}

/// All that is drawn.
#[derive(Default)]
pub struct Rows {
    pub slices: Vec<Slice>,
    pub marks: Vec<Mark>,
    pub arrows: Vec<Arrow>,
    /// Ends of arrows whose beginning was overwritten.
    pub unjoined: u64,
}

/// What a slice is about, as long as it is open.
#[derive(Clone)]
struct Open {
    what: What,
    name: String,
    begin: u64,
    args: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Poll,
    Call,
    Fault,
    Idle,
}

impl What {
    fn category(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Call => "call",
            Self::Fault => "fault",
            Self::Idle => "idle",
        }
    }
}

/// The state while the events go by.
struct Builder<'a> {
    rows: Rows,
    cpus: Vec<Row>,
    /// Calls and faults of tasks that are not being polled.
    waiting: HashMap<u64, Vec<Open>>,
    /// The process that a task is a thread of.
    processes: HashMap<u64, u64>,
    /// What a process is called.
    names: HashMap<u64, String>,
    /// Where shootdowns were sent, and where they were acknowledged last.
    sent: HashMap<u64, (usize, u64)>,
    acknowledged: HashMap<u64, (usize, u64)>,
    events: &'a [Event],
    /// When the next event of the same CPU is, for each event.
    next: Vec<u64>,
}

#[derive(Clone, Default)]
struct Row {
    task: Option<u64>,
    open: Vec<Open>,
    last: u64,
}

impl Rows {
    /// What there is to draw.
    pub fn of(trace: &Trace) -> Self {
        let mut next = vec![u64::MAX; trace.events.len()];
        let mut later = vec![u64::MAX; trace.cpus];
        for (next, event) in next.iter_mut().zip(&trace.events).rev() {
            *next = std::mem::replace(&mut later[event.cpu], event.time);
        }
        let mut builder = Builder {
            rows: Self::default(),
            cpus: vec![Row::default(); trace.cpus],
            waiting: HashMap::new(),
            processes: HashMap::new(),
            names: HashMap::new(),
            sent: HashMap::new(),
            acknowledged: HashMap::new(),
            events: &trace.events,
            next,
        };
        for index in 0..builder.events.len() {
            builder.event(index);
        }
        for cpu in 0..trace.cpus {
            let end = builder.cpus[cpu].last;
            builder.close_all(cpu, end);
        }
        builder.rows
    }
}

impl Builder<'_> {
    fn event(&mut self, index: usize) {
        let event = &self.events[index];
        let [a, b, c] = event.words;
        let (cpu, time) = (event.cpu, event.time);
        let place = (cpu, time);
        self.cpus[cpu].last = time;
        match event.name() {
            "poll_begin" => self.poll_begins(event),
            "poll_end" => self.poll_ends(cpu, time),
            "call_begin" => {
                if let Some(task) = self.cpus[cpu].task {
                    self.processes.insert(task, b);
                }
                let name = Sysno::new(a as usize).map_or("system call", |call| call.name());
                self.open(What::Call, name.into(), event);
            }
            "call_end" => self.close(What::Call, event, json!({ "result": c_long(a) })),
            "fault_begin" => self.open(What::Fault, "page fault".into(), event),
            "fault_end" => self.close(What::Fault, event, json!({})),
            "idle_begin" => {
                let name = if a == 0 { "awake" } else { "halted" };
                self.open(What::Idle, name.into(), event);
            }
            "idle_end" => self.close(What::Idle, event, json!({})),
            "shootdown" => {
                self.sent.insert(a, place);
                self.moment(index, "shootdown");
            }
            "ack" => {
                self.arrow("shootdown", self.sent.get(&a).copied(), place);
                if b == 1 {
                    self.acknowledged.insert(a, place);
                }
                self.moment(index, "shootdown");
            }
            "drop" => {
                if c != 0 {
                    self.arrow("release", self.acknowledged.get(&c).copied(), place);
                }
                self.moment(index, "reclaim");
            }
            name => {
                match name {
                    "thread" => drop(self.processes.insert(a, b)),
                    "fork" => {
                        let name = self.names.get(&a).cloned().unwrap_or_default();
                        self.names.insert(b, name);
                    }
                    "exec" => drop(self.names.insert(a, text(b, c))),
                    _ => {}
                }
                self.rows.marks.push(Mark {
                    name: name.replace('_', " "),
                    cpu,
                    time,
                    args: args(event),
                });
            }
        }
    }

    /// The slices that the task had left open go on.
    fn poll_begins(&mut self, event: &Event) {
        let [task, first, second] = event.words;
        let (cpu, time) = (event.cpu, event.time);
        self.close_all(cpu, time);
        let mut args = json!({ "task": task });
        let mut name = text(first, second);
        if let Some(&pid) = self.processes.get(&task) {
            args["pid"] = pid.into();
            if let Some(program) = self.names.get(&pid) {
                name.clone_from(program);
            }
        }
        let row = &mut self.cpus[cpu];
        row.task = Some(task);
        row.open.push(Open {
            what: What::Poll,
            name,
            begin: time,
            args,
        });
        for mut open in self.waiting.remove(&task).unwrap_or_default() {
            open.begin = time;
            row.open.push(open);
        }
    }

    fn poll_ends(&mut self, cpu: usize, time: u64) {
        let row = &mut self.cpus[cpu];
        if let Some(task) = row.task.take() {
            let open = row.open.iter().filter(|open| open.what != What::Poll);
            let open: Vec<Open> = open.cloned().collect();
            if !open.is_empty() {
                self.waiting.insert(task, open);
            }
        }
        self.close_all(cpu, time);
    }

    fn open(&mut self, what: What, name: String, event: &Event) {
        self.cpus[event.cpu].open.push(Open {
            what,
            name,
            begin: event.time,
            args: args(event),
        });
    }

    /// Closes the innermost slice of this kind, and what is open in it. The outer come first,
    /// as the file has them.
    fn close(&mut self, what: What, event: &Event, more: Value) {
        let (cpu, time) = (event.cpu, event.time);
        let open = &mut self.cpus[cpu].open;
        let Some(depth) = open.iter().rposition(|open| open.what == what) else {
            return;
        };
        if let (Value::Object(args), Value::Object(more)) = (&mut open[depth].args, more) {
            args.extend(more);
        }
        for open in open.split_off(depth) {
            self.slice(open, cpu, time);
        }
    }

    fn close_all(&mut self, cpu: usize, time: u64) {
        for open in std::mem::take(&mut self.cpus[cpu].open) {
            self.slice(open, cpu, time);
        }
    }

    fn slice(&mut self, open: Open, cpu: usize, end: u64) {
        self.rows.slices.push(Slice {
            name: open.name,
            category: open.what.category(),
            cpu,
            begin: open.begin,
            end,
            args: open.args,
        });
    }

    /// A slice for something that has no end of its own.
    fn moment(&mut self, index: usize, category: &'static str) {
        let event = &self.events[index];
        self.rows.slices.push(Slice {
            name: event.name().into(),
            category,
            cpu: event.cpu,
            begin: event.time,
            end: self.next[index].min(event.time + MOMENT),
            args: args(event),
        });
    }

    fn arrow(&mut self, name: &'static str, from: Option<(usize, u64)>, to: (usize, u64)) {
        match from {
            Some(from) => self.rows.arrows.push(Arrow { name, from, to }),
            None => self.rows.unjoined += 1,
        }
    }
}

/// The words of an event. Addresses and sets of CPUs are read in hexadecimal.
fn args(event: &Event) -> Value {
    let mut args = Map::new();
    for (name, word) in event.named_words() {
        match name {
            "address" | "cpus" => args.insert(name.into(), format!("{word:#x}").into()),
            "name" => args.insert(name.into(), text(word, event.words[2]).into()),
            "more" => None,
            _ => args.insert(name.into(), word.into()),
        };
    }
    Value::Object(args)
}

/// A word as the kernel's signed result.
fn c_long(word: u64) -> i64 {
    word.cast_signed()
}

/// The text in two words.
fn text(first: u64, second: u64) -> String {
    let bytes = [first.to_le_bytes(), second.to_le_bytes()].concat();
    let text = String::from_utf8_lossy(&bytes);
    text.trim_end_matches('\0').to_owned()
}
