//! What the threads do: loads and stores of their own and by the kernel for them, fork,
//! mmap, munmap, mprotect, new threads, and exit, each checked against the model.

use super::super::super::area::{Backing, Protection};
use super::super::super::shootdown;
use super::super::super::{MapError, Place};
use super::super::PAGE;
use super::model::{Model, WORDS, Wrong};
use super::world::{Process, World, between_instructions, yield_once};
use crate::arch::sim::{self, schedule};
use crate::arch::{self, Access};
use crate::errno::Errno;
use core::cell::RefCell;
use std::rc::Rc;

/// Where the programs have memory: pages side by side, pages in neighbouring tables of
/// each level, and pages with untouched tables around them.
pub fn universe() -> Vec<usize> {
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

/// The most threads at a time.
const THREADS: usize = 8;
/// Attempts at one access after which something must be wrong.
const ATTEMPTS: usize = 1000;
/// Instructions that a CPU with an open request does at most without an interrupt, while
/// all other CPUs run.
const PATIENCE: usize = 4000;

/// How a thread uses a word.
#[derive(Clone, Copy)]
enum By {
    /// An instruction of the program.
    Program,
    /// A copy by the kernel, for a system call.
    Kernel,
}

/// A thread of a process.
pub struct Thread {
    pub world: Rc<World>,
    pub process: Rc<Process>,
    pub pages: Rc<Vec<usize>>,
    /// Operations after which it ends.
    pub operations: usize,
}

/// What a thread does from start to end.
pub async fn live(thread: Thread) {
    if let Err(wrong) = thread.run().await {
        schedule::report(wrong);
    }
}

impl Thread {
    async fn run(&self) -> Result<(), Wrong> {
        for _ in 0..self.operations {
            if !self.world.take_operation() {
                break;
            }
            match schedule::random(100) {
                // Room for others.
                70..76 if self.world.alive.get() >= THREADS => return Ok(()),
                0..30 => self.store(By::Program).await?,
                30..60 => self.load(By::Program).await?,
                60..65 => self.store(By::Kernel).await?,
                65..70 => self.load(By::Kernel).await?,
                70..76 if schedule::random(100) < self.world.threads => self.new_thread(),
                70..76 => self.fork().await?,
                76..84 => self.map().await?,
                84..87 => self.unmap().await?,
                87..92 => self.protect().await?,
                92..94 => self.compute().await?,
                _ => yield_once().await,
            }
        }
        Ok(())
    }

    /// Some page; a few are used more than others.
    fn some_page(&self) -> usize {
        let range = match schedule::random(3) {
            0 => self.pages.len(),
            _ => 2.min(self.pages.len()),
        };
        self.pages[schedule::random(range)]
    }

    fn model(&self) -> core::cell::RefMut<'_, Model> {
        self.process.model.borrow_mut()
    }

    async fn store(&self, by: By) -> Result<(), Wrong> {
        let (page, word) = (self.some_page(), schedule::random(WORDS));
        let value = self.world.fresh_value();
        self.access(page, word, Some(value), by).await
    }

    async fn load(&self, by: By) -> Result<(), Wrong> {
        let (page, word) = (self.some_page(), schedule::random(WORDS));
        self.access(page, word, None, by).await
    }

    /// Stores `value`, or loads when there is none.
    async fn access(
        &self,
        page: usize,
        word: usize,
        value: Option<u64>,
        by: By,
    ) -> Result<(), Wrong> {
        match by {
            By::Program => self.access_as_program(page, word, value).await,
            By::Kernel => self.access_as_kernel(page, word, value).await,
        }
    }

    async fn access_as_program(
        &self,
        page: usize,
        word: usize,
        value: Option<u64>,
    ) -> Result<(), Wrong> {
        // Each word has a cache line of its own.
        let address = page + 64 * word;
        for _ in 0..ATTEMPTS {
            between_instructions().await;
            // No other CPU goes on between the access and its check.
            let fault = match value {
                Some(value) => match sim::store_word(address, value) {
                    Ok(()) => return self.model().stored(page, word, value),
                    Err(fault) => fault,
                },
                None => match sim::load_word(address) {
                    Ok(value) => return self.model().loaded(page, word, value),
                    Err(fault) => fault,
                },
            };
            let before = self.model().before(page);
            let outcome = self.process.space.fault(fault.address, fault.access).await;
            if let Err(error) = outcome {
                return self.model().refused(page, fault.access, error, before);
            }
        }
        Err(format!("a fault at {address:#x} comes again and again"))
    }

    async fn access_as_kernel(
        &self,
        page: usize,
        word: usize,
        value: Option<u64>,
    ) -> Result<(), Wrong> {
        let address = page + 64 * word;
        let space = &self.process.space;
        let before = self.model().before(page);
        let outcome = match value {
            Some(value) => match space.write_bytes(address, &value.to_le_bytes()).await {
                Ok(()) => return self.model().stored(page, word, value),
                Err(error) => (Access::Write, error),
            },
            None => {
                let mut bytes = [0; 8];
                match space.read_bytes(address, &mut bytes).await {
                    Ok(()) => {
                        let value = u64::from_le_bytes(bytes);
                        return self.model().loaded(page, word, value);
                    }
                    Err(error) => (Access::Read, error),
                }
            }
        };
        let (access, error) = outcome;
        if error != Errno::EFAULT {
            return Err(format!("{access:?} of {page:#x} by the kernel: {error:?}"));
        }
        self.model().denied(page, access, before)
    }

    async fn fork(&self) -> Result<(), Wrong> {
        if self.world.alive.get() >= THREADS {
            return Ok(());
        }
        let model = self.model().begin_fork();
        let forked = self.process.space.fork().await;
        self.model().end_fork(&model);
        let space = forked.map_err(|error| format!("fork: {error:?}"))?;
        let child = Thread {
            world: self.world.clone(),
            process: Rc::new(Process { space, model }),
            pages: self.pages.clone(),
            operations: self.world.childhood,
        };
        self.world.spawn(child.process.clone(), async move {
            match child.forget_unsure().await {
                Ok(()) => live(child).await,
                Err(wrong) => schedule::report(wrong),
            }
        });
        Ok(())
    }

    /// Unmaps what was changing in the parent during the fork.
    async fn forget_unsure(&self) -> Result<(), Wrong> {
        let unsure = self.model().take_unsure();
        for page in unsure {
            let outcome = self.process.space.unmap(page, PAGE).await;
            outcome.map_err(|error| format!("munmap in a child: {error:?}"))?;
            self.model().end_change(&[page], None);
        }
        Ok(())
    }

    /// Some range with its pages; `around` lets it begin and end where nothing is used.
    fn some_range(&self, around: bool) -> (usize, usize, Vec<usize>) {
        let first = schedule::random(self.pages.len());
        let last = (first + schedule::random(5)).min(self.pages.len() - 1);
        let slack = |around: bool| match schedule::random(3) {
            0 if around => PAGE * schedule::random(600),
            _ => 0,
        };
        let start = self.pages[first].saturating_sub(slack(around)).max(PAGE);
        let end = self.pages[last] + PAGE + slack(around);
        let pages = self.model().within(start, end);
        (start, end, pages)
    }

    async fn map(&self) -> Result<(), Wrong> {
        let (mut start, mut end, mut pages) = self.some_range(true);
        let missing = self.model().unmapped();
        if schedule::random(4) != 0 && !missing.is_empty() {
            // Most programs have most of their memory most of the time.
            start = missing[schedule::random(missing.len())];
            end = start + PAGE;
            pages = vec![start];
        }
        if !self.model().are_free_to_change(&pages, Some(false)) {
            return Ok(());
        }
        let rights = Protection::READ | Protection::WRITE;
        self.model().begin_change(&pages, Some(rights));
        let place = Place::Fixed(start);
        let outcome = self
            .process
            .space
            .map(place, end - start, rights, Backing::Anonymous)
            .await;
        outcome.map_err(|error| format!("mmap: {error:?}"))?;
        self.model().end_change(&pages, Some(rights));
        Ok(())
    }

    async fn unmap(&self) -> Result<(), Wrong> {
        let (start, end, pages) = self.some_range(true);
        if !self.model().are_free_to_change(&pages, None) {
            return Ok(());
        }
        self.model().begin_change(&pages, None);
        let outcome = self.process.space.unmap(start, end - start).await;
        outcome.map_err(|error| format!("munmap: {error:?}"))?;
        self.model().end_change(&pages, None);
        Ok(())
    }

    async fn protect(&self) -> Result<(), Wrong> {
        let (start, end, pages) = self.some_range(false);
        // Tables are looked at one by one: not over a terabyte.
        if end - start > 1 << 30 || !self.model().are_free_to_change(&pages, Some(true)) {
            return Ok(());
        }
        let rights = match schedule::random(8) {
            0 => Protection::empty(),
            1 => Protection::READ,
            _ => Protection::READ | Protection::WRITE,
        };
        self.model().begin_change(&pages, None);
        match self.process.space.protect(start, end - start, rights).await {
            Ok(()) => self.model().end_change(&pages, Some(rights)),
            // Between two pages nothing may be mapped.
            Err(MapError::NotMapped) => self.model().undo_change(&pages),
            Err(error) => return Err(format!("mprotect: {error:?}")),
        }
        Ok(())
    }

    fn new_thread(&self) {
        if self.world.alive.get() < THREADS {
            let thread = Thread {
                world: self.world.clone(),
                process: self.process.clone(),
                pages: self.pages.clone(),
                operations: self.operations,
            };
            self.world.spawn(self.process.clone(), live(thread));
        }
    }

    /// Instructions that use no memory. A request to this CPU has to end them with an
    /// interrupt, however many there are.
    async fn compute(&self) -> Result<(), Wrong> {
        let cpu = arch::cpu().0;
        let mut left = schedule::random(100);
        let mut asked_for = 0;
        while left != 0 {
            schedule::pause();
            if sim::interrupt_arrives(cpu) {
                shootdown::serve();
                return Ok(());
            }
            if shootdown::is_asked(cpu) {
                asked_for += 1;
            } else {
                left -= 1;
            }
            if asked_for > PATIENCE {
                return Err(format!("M7: cpu{cpu} was asked, and no interrupt comes"));
            }
        }
        Ok(())
    }
}

/// The first process, with everything mapped.
pub async fn first(thread: Thread) {
    for &page in thread.pages.iter() {
        let pages = [page];
        let rights = Protection::READ | Protection::WRITE;
        thread.model().begin_change(&pages, Some(rights));
        let place = Place::Fixed(page);
        let space = &thread.process.space;
        let outcome = space.map(place, PAGE, rights, Backing::Anonymous).await;
        if let Err(error) = outcome {
            return schedule::report(format!("mmap: {error:?}"));
        }
        thread.model().end_change(&pages, Some(rights));
    }
    (0..3).for_each(|_| thread.new_thread());
    live(thread).await;
}

/// A model that nothing is mapped in.
pub fn empty_model(pages: &[usize]) -> Rc<RefCell<Model>> {
    Rc::new(RefCell::new(Model::new(pages)))
}
