//! The workload of a run, as data: what each thread does. It follows from the seed before
//! the run begins, so it can be printed, and shrunk when it has found something.

use super::super::PAGE;
use super::model::WORDS;
use crate::memory::vma::vm_area::Protection;
use crate::testing::sim::random::Random;
use core::fmt;

/// Files, and anonymous memory that is shared; and how many pages each of them has.
pub const FILES: usize = 2;
/// Pages of each.
pub const FILE_PAGES: usize = 4;

/// A whole workload.
#[derive(Clone)]
pub struct Plan {
    pub cpus: usize,
    /// Frames of memory.
    pub frames: usize,
    /// PCIDs of each CPU.
    pub pcids: usize,
    /// Pages that the programs use, the most used first.
    pub pages: Vec<usize>,
    /// What each thread does; the first is the one that starts all others.
    pub scripts: Vec<Vec<Step>>,
}

/// One operation of a thread.
#[derive(Clone)]
pub struct Step {
    pub operation: Operation,
    /// It is given up after it has had to wait so often.
    pub patience: Option<u8>,
}

/// How a thread uses a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// An instruction of the program.
    Program,
    /// A copy by the kernel, for a system call (rule M8).
    Kernel,
}

/// Where the pages of a mapping come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Fresh zeroes.
    Anonymous,
    /// A file from one of its pages on, shared.
    Shared(usize, usize),
    /// A file from one of its pages on, private.
    Private(usize, usize),
}

/// What a child gets of its parent's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inherit {
    /// All of it.
    Contents,
    /// Zeroes.
    Zeroes,
    /// No memory.
    Nothing,
}

/// A word of a page that the programs use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub page: usize,
    pub word: usize,
}

/// Addresses; `end` is exclusive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub start: usize,
    pub end: usize,
}

/// What a thread may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Load(Place, By),
    Store(Place, By),
    /// write(2) to a file, one word of a page of it.
    WriteFile(usize, Place),
    /// A child, whose first thread does what the script says.
    Fork(usize),
    Thread(usize),
    /// mmap, in the place of what is there.
    Map(Range, Source),
    /// mmap of one page where nothing is, the n-th such place.
    MapMissing(usize, Source),
    Unmap(Range),
    Protect(Range, Protection),
    /// mremap of one page to another; the old place may stay mapped.
    Move(usize, usize, bool),
    /// madvise that drops what is there.
    Discard(Range),
    /// madvise of one page: what children get of it.
    Inherit(usize, Inherit),
    /// Instructions that use no memory.
    Compute(usize),
    Yield,
    /// The n-th allocation of a frame from now fails.
    FailAllocation(usize),
    /// All threads of the process end, where they are.
    Exit,
}

/// Where the programs have memory: pages side by side, pages in neighbouring tables of
/// each level, and pages with untouched tables around them.
fn universe() -> Vec<usize> {
    let clusters = [
        (0x40_0000, 6),
        (0x60_0000 - 2 * PAGE, 4),
        (0x100_0000, 1),
        ((1 << 30) - 2 * PAGE, 4),
        ((1 << 39) - PAGE, 3),
    ];
    let pages = clusters
        .iter()
        .flat_map(|&(start, n)| (0..n).map(move |i| start + i * PAGE));
    pages.collect()
}

/// Threads that are written at the same time.
const OPEN: usize = 8;

impl Plan {
    /// The workload that follows from a seed: so many operations.
    pub fn new(seed: u64, operations: usize) -> Plan {
        let mut random = Random::new(seed);
        let cpus = [1, 2, 2, 3, 3, 4, 4, 5, 6, 8][random.below(10)];
        let mut pages = universe();
        if random.one_in(2) {
            // Little memory and many threads that want it.
            pages.truncate(3);
        }
        let short = random.one_in(6);
        let frames = if short {
            [300, 330, 400][random.below(3)]
        } else {
            2048
        };
        let pcids = [0, 1, 3, 6][random.below(4)];
        let mut writer = Writer {
            threads: [20, 50, 80][random.below(3)],
            childhood: [usize::MAX, 2][random.below(2)],
            impatient: [0, 0, 8, 30][random.below(4)],
            failing: [0, 0, 30][random.below(3)],
            files: random.one_in(2),
            scripts: vec![Vec::new()],
            open: vec![(0, usize::MAX)],
            random,
            pages,
        };
        // Several threads from the start.
        for _ in 0..3 {
            let thread = writer.start(usize::MAX);
            writer.put(0, Operation::Thread(thread));
        }
        for _ in 0..operations {
            writer.one();
        }
        Plan {
            cpus,
            frames,
            pcids,
            pages: writer.pages,
            scripts: writer.scripts,
        }
    }

    /// The same, with each call given up at the first wait.
    pub fn hasty(mut self) -> Plan {
        let steps = self.scripts.iter_mut().flatten();
        for step in steps.filter(|step| step.operation.can_be_given_up()) {
            step.patience = Some(0);
        }
        self
    }

    /// The same, with a page moved to and fro where a thread would have yielded.
    pub fn restless(mut self) -> Plan {
        let steps = self.scripts.iter_mut().flatten();
        let yields = steps.filter(|step| step.operation == Operation::Yield);
        for (n, step) in yields.enumerate() {
            let (from, to) = (self.pages[n % 2], self.pages[1 - n % 2]);
            step.operation = Operation::Move(from, to, false);
        }
        self
    }

    /// Whether a call may fail for want of memory.
    pub fn can_run_out(&self) -> bool {
        let fails = |step: &Step| matches!(step.operation, Operation::FailAllocation(_));
        self.frames < 2048 || self.scripts.iter().flatten().any(fails)
    }

    /// Operations of all threads that are started.
    pub fn operations(&self) -> usize {
        self.scripts.iter().map(Vec::len).sum()
    }
}

/// Writes the scripts, an operation here and an operation there.
struct Writer {
    random: Random,
    pages: Vec<usize>,
    scripts: Vec<Vec<Step>>,
    /// Scripts that are not at their end, and after how many operations they are.
    open: Vec<(usize, usize)>,
    /// Of 100 new tasks so many are threads of a process that is there, the others are
    /// children.
    threads: usize,
    /// Operations after which a child ends: few, and one process with many threads shares
    /// its memory again and again.
    childhood: usize,
    /// Of 100 operations so many may be given up.
    impatient: usize,
    /// Of 1000 operations so many make an allocation fail.
    failing: usize,
    /// Whether files are mapped.
    files: bool,
}

impl Writer {
    fn start(&mut self, operations: usize) -> usize {
        self.scripts.push(Vec::new());
        self.open.push((self.scripts.len() - 1, operations));
        self.scripts.len() - 1
    }

    fn put(&mut self, script: usize, operation: Operation) {
        let patience = (self.random.below(100) < self.impatient)
            .then(|| self.random.below(3) as u8)
            .filter(|_| operation.can_be_given_up());
        let step = Step {
            operation,
            patience,
        };
        self.scripts[script].push(step);
    }

    fn one(&mut self) {
        let at = self.random.below(self.open.len());
        let (script, left) = self.open[at];
        let ends = self.open.len() > 1 && self.random.one_in(40);
        if left == 0 || ends {
            if ends && self.random.one_in(10) {
                self.put(script, Operation::Exit);
            }
            if self.open.len() > 1 {
                self.open.swap_remove(at);
                return;
            }
        }
        self.open[at].1 = left.saturating_sub(1);
        let operation = self.operation();
        self.put(script, operation);
    }

    fn operation(&mut self) -> Operation {
        if self.random.below(1000) < self.failing {
            return Operation::FailAllocation(1 + self.random.below(8));
        }
        match self.random.below(100) {
            0..30 => Operation::Store(self.place(), By::Program),
            30..58 => Operation::Load(self.place(), By::Program),
            58..63 => Operation::Store(self.place(), By::Kernel),
            63..67 => Operation::Load(self.place(), By::Kernel),
            67..70 if self.files => {
                let page = self.random.below(FILE_PAGES);
                let word = self.random.below(WORDS);
                Operation::WriteFile(self.random.below(FILES), Place { page, word })
            }
            70..76 if self.open.len() < OPEN => {
                if self.random.below(100) < self.threads {
                    Operation::Thread(self.start(usize::MAX))
                } else {
                    let childhood = self.childhood;
                    Operation::Fork(self.start(childhood))
                }
            }
            76..84 => match self.random.below(4) {
                0 => self.map(),
                _ => Operation::MapMissing(self.random.below(64), self.source()),
            },
            84..86 => Operation::Unmap(self.range(true)),
            86..89 => self.protect(),
            89 => Operation::Discard(self.range(false)),
            90..92 => match self.random.below(4) {
                0 => self.inherit(),
                _ => self.movement(),
            },
            92..94 => Operation::Compute(self.random.below(100)),
            _ => Operation::Yield,
        }
    }

    /// Some page; a few are used more than others.
    fn place(&mut self) -> Place {
        let range = match self.random.below(3) {
            0 => self.pages.len(),
            _ => 2.min(self.pages.len()),
        };
        Place {
            page: self.pages[self.random.below(range)],
            word: self.random.below(WORDS),
        }
    }

    /// Some range; `around` lets it begin and end where nothing is used.
    fn range(&mut self, around: bool) -> Range {
        let first = self.random.below(self.pages.len());
        let last = (first + self.random.below(5)).min(self.pages.len() - 1);
        let mut slack = || match self.random.below(3) {
            0 if around => PAGE * self.random.below(600),
            _ => 0,
        };
        let (before, after) = (slack(), slack());
        Range {
            start: self.pages[first].saturating_sub(before).max(PAGE),
            end: self.pages[last] + PAGE + after,
        }
    }

    fn source(&mut self) -> Source {
        let kind = if self.files { self.random.below(5) } else { 0 };
        let (file, page) = (self.random.below(FILES), self.random.below(FILE_PAGES));
        match kind {
            1 | 2 => Source::Shared(file, page),
            3 => Source::Private(file, page),
            _ => Source::Anonymous,
        }
    }

    fn map(&mut self) -> Operation {
        match self.source() {
            Source::Anonymous => Operation::Map(self.range(true), Source::Anonymous),
            // Small, that it does not all lie behind the file's end.
            source => {
                let start = self.pages[self.random.below(self.pages.len())];
                let end = start + PAGE * (1 + self.random.below(3));
                Operation::Map(Range { start, end }, source)
            }
        }
    }

    fn movement(&mut self) -> Operation {
        let mut page = || self.pages[self.random.below(self.pages.len())];
        let (from, to) = (page(), page());
        if from == to {
            return Operation::Yield;
        }
        Operation::Move(from, to, self.random.one_in(3))
    }

    fn inherit(&mut self) -> Operation {
        let page = self.pages[self.random.below(self.pages.len())];
        let kinds = [Inherit::Contents, Inherit::Zeroes, Inherit::Nothing];
        Operation::Inherit(page, kinds[self.random.below(3)])
    }

    fn protect(&mut self) -> Operation {
        let range = self.range(false);
        // Tables are looked at one by one: not over a terabyte.
        if range.end - range.start > 1 << 30 {
            return Operation::Yield;
        }
        let rights = match self.random.below(8) {
            0 => Protection::empty(),
            1 => Protection::READ,
            _ => Protection::READ | Protection::WRITE,
        };
        Operation::Protect(range, rights)
    }
}

impl Operation {
    /// The script that it starts.
    pub fn starts(&self) -> Option<usize> {
        match *self {
            Operation::Fork(script) | Operation::Thread(script) => Some(script),
            _ => None,
        }
    }

    fn can_be_given_up(&self) -> bool {
        !matches!(
            self,
            Operation::Thread(_) | Operation::Exit | Operation::FailAllocation(_)
            // What others store at the old place before the end of the call is known may be in
            // the page that has moved, or in the one that has begun anew.
            | Operation::Move(_, _, true)
        )
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            By::Program => "",
            By::Kernel => " by the kernel",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}[{}]", self.page, self.word)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Anonymous => f.write_str("anonymous"),
            Source::Shared(file, page) => write!(f, "file {file} from page {page}, shared"),
            Source::Private(file, page) => write!(f, "file {file} from page {page}, private"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Load(place, by) => write!(f, "load {place}{by}"),
            Operation::Store(place, by) => write!(f, "store {place}{by}"),
            Operation::WriteFile(file, Place { page, word }) => {
                write!(f, "write file {file}, page {page}[{word}]")
            }
            Operation::Fork(script) => write!(f, "fork: t{script}"),
            Operation::Thread(script) => write!(f, "thread: t{script}"),
            Operation::Map(range, source) => write!(f, "mmap {range} {source}"),
            Operation::MapMissing(n, source) => write!(f, "mmap missing page #{n} {source}"),
            Operation::Unmap(range) => write!(f, "munmap {range}"),
            Operation::Protect(range, rights) => {
                let letter = |right, letter| if rights.contains(right) { letter } else { '-' };
                let (read, write) = (Protection::READ, Protection::WRITE);
                write!(
                    f,
                    "mprotect {range} {}{}",
                    letter(read, 'r'),
                    letter(write, 'w')
                )
            }
            Operation::Move(from, to, false) => write!(f, "mremap {from:#x} to {to:#x}"),
            Operation::Move(from, to, true) => {
                write!(
                    f,
                    "mremap {from:#x} to {to:#x}, leaving the old place mapped"
                )
            }
            Operation::Discard(range) => write!(f, "discard {range}"),
            Operation::Inherit(page, what) => write!(f, "children get {what:?} of {page:#x}"),
            Operation::Compute(n) => write!(f, "compute {n}"),
            Operation::Yield => f.write_str("yield"),
            Operation::FailAllocation(n) => write!(f, "fail allocation #{n}"),
            Operation::Exit => f.write_str("exit the process"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        match self.patience {
            Some(waits) => write!(f, " (given up after {waits} waits)"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Plan {
    /// One line for each thread that does something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan {
            cpus,
            frames,
            pcids,
            ..
        } = self;
        write!(f, "{cpus} CPUs, {frames} frames, {pcids} PCIDs")?;
        for (n, script) in self.scripts.iter().enumerate() {
            if !script.is_empty() {
                let steps: Vec<String> = script.iter().map(ToString::to_string).collect();
                write!(f, "\n    t{n}: {}", steps.join("; "))?;
            }
        }
        Ok(())
    }
}
