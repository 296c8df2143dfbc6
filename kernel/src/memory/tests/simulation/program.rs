//! What the threads do, operation by operation, each checked against the model.

mod areas;

use super::super::PAGE;
use super::model::{Change, Model, Wrong};
use super::plan::{By, Operation, Place, Range, Source, Step};
use super::world::{Pending, Process, World, between_instructions, is_asked, within, yield_once};
use crate::arch::Access;
use crate::memory::AccessError;
use crate::memory::planted::{Call, during};
use crate::memory::tlb::shootdown;
use crate::memory::{FaultError, fail_allocation};
use crate::testing::sim::{self, schedule, stores};
use core::cell::{RefCell, RefMut};
use std::rc::Rc;

/// Attempts at one access after which something must be wrong.
const ATTEMPTS: usize = 1000;
/// Instructions that a CPU with an open request does at most without an interrupt, while
/// all other CPUs run.
const PATIENCE: usize = 4000;
/// Bytes between two words that the programs use: each has a cache line of its own.
const LINE: usize = 64;

/// A thread of a process, and which script it follows.
pub struct Thread {
    pub world: Rc<World>,
    pub process: Rc<Process>,
    pub script: usize,
    /// What a call that is under way changes, for the case that it is given up.
    pub half_done: RefCell<HalfDone>,
}

/// A call that has begun.
#[derive(Default)]
pub enum HalfDone {
    #[default]
    Nothing,
    /// The mapping of these pages changes.
    Change(Vec<Range>, Vec<usize>),
    /// A child is made.
    Fork(Rc<RefCell<Model>>),
}

/// A store that is under way, until it is done or given up.
struct UnderWay<'a>(&'a RefCell<Model>, usize);

impl UnderWay<'_> {
    fn store(model: &RefCell<Model>, page: usize) -> UnderWay<'_> {
        model.borrow_mut().count_stores(page, 1);
        UnderWay(model, page)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().count_stores(self.1, -1);
    }
}

/// The first process, with everything mapped.
pub async fn first(thread: Thread) {
    let pages = thread.world.plan.pages.clone();
    for page in pages {
        let range = Range {
            start: page,
            end: page + PAGE,
        };
        if let Err(wrong) = thread.map(range, Source::Anonymous).await {
            return schedule::report(wrong);
        }
    }
    thread.live().await;
}

/// The call that an operation makes, if a fault can be confined to it.
fn call_of(operation: &Operation) -> Option<Call> {
    match operation {
        Operation::Fork(_) => Some(Call::Fork),
        Operation::Unmap(_) => Some(Call::Unmap),
        Operation::Protect(..) => Some(Call::Protect),
        Operation::Move(..) => Some(Call::Move),
        _ => None,
    }
}

impl Thread {
    pub fn new(world: &Rc<World>, process: &Rc<Process>, script: usize) -> Thread {
        Thread {
            world: world.clone(),
            process: process.clone(),
            script,
            half_done: RefCell::default(),
        }
    }

    /// What a thread does from start to end.
    pub async fn live(self) {
        // A clone, as the borrow would last over the awaits.
        let script = self.world.plan.scripts[self.script].clone();
        for step in script {
            if let Err(wrong) = self.perform(step).await {
                return schedule::report(wrong);
            }
        }
    }

    async fn perform(&self, step: Step) -> Result<(), Wrong> {
        self.tell(|| step.to_string());
        let is_access = matches!(
            step.operation,
            Operation::Load(_, By::Program) | Operation::Store(_, By::Program)
        );
        if !is_access {
            stores::drain();
        }
        self.world
            .operations_done
            .set(self.world.operations_done.get() + 1);
        let call = call_of(&step.operation);
        let operation = during(call, self.operate(step.operation));
        match within(step.patience, operation).await {
            // What another thread has left half done when it was ended is not known.
            Some(_) if self.process.ending.get() => {}
            Some(outcome) => outcome?,
            None => {
                self.tell(|| "gives up".into());
                self.clean_up().await?;
            }
        }
        self.tell(|| "done".into());
        Ok(())
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        self.world.tell(|| format!("t{}: {}", self.script, what()));
    }

    async fn operate(&self, operation: Operation) -> Result<(), Wrong> {
        match operation {
            Operation::Load(place, By::Program) => self.access(place, None).await,
            Operation::Store(place, By::Program) => {
                self.access(place, Some(self.world.fresh_value())).await
            }
            Operation::Load(place, By::Kernel) => self.kernel_loads(place).await,
            Operation::Store(place, By::Kernel) => self.kernel_stores(place).await,
            Operation::WriteFile(file, place) => self.write_file(file, place),
            Operation::Fork(script) => self.fork(script).await,
            Operation::Thread(script) => {
                self.start_thread(script);
                Ok(())
            }
            Operation::Map(range, source) => self.map(range, source).await,
            Operation::MapMissing(n, source) => self.map_missing(n, source).await,
            Operation::Unmap(range) => self.unmap(range).await,
            Operation::Protect(range, rights) => self.protect(range, rights).await,
            Operation::Move(from, to, leaves) => self.relocate(from, to, leaves).await,
            Operation::Discard(range) => self.discard(range).await,
            Operation::Inherit(page, what) => self.inherit(page, what).await,
            Operation::Compute(n) => self.compute(n).await,
            Operation::Yield => {
                yield_once().await;
                Ok(())
            }
            Operation::FailAllocation(n) => {
                fail_allocation(n);
                Ok(())
            }
            Operation::Exit => {
                self.world.end(&self.process);
                yield_once().await;
                Ok(())
            }
        }
    }

    fn model(&self) -> RefMut<'_, Model> {
        self.process.model.borrow_mut()
    }

    /// Nothing, if memory may run out in this run; else what `call` did is wrong.
    fn out_of_memory(&self, call: &str) -> Result<(), Wrong> {
        self.tell(|| "out of memory".into());
        if self.world.plan.can_run_out() {
            Ok(())
        } else {
            Err(format!("M10: {call} finds no memory"))
        }
    }

    /// Stores `value` as an instruction of the program, or loads when there is none.
    async fn access(&self, place: Place, value: Option<u64>) -> Result<(), Wrong> {
        let Place { page, word } = place;
        let access = value.map_or(Access::Read, |_| Access::Write);
        let _under_way = value.map(|_| UnderWay::store(&self.process.model, page));
        for _ in 0..ATTEMPTS {
            between_instructions().await;
            let before = self.model().before(page);
            if value.is_some() {
                self.model().begin_store(page);
            }
            // No other CPU goes on between the translation and the checks.
            match (sim::translate(page + LINE * word, access), value) {
                // What another thread has left half done when it was ended is not known.
                (Ok(_), _) if self.process.ending.get() => return Ok(()),
                // To which of two pages it would go is not known.
                (Ok(_), Some(_)) if self.model().arriving(page).is_some() => return Ok(()),
                (Ok(frame), Some(value)) => return self.store(place, frame, value),
                (Ok(frame), None) => {
                    let value = stores::get(frame, LINE / 8 * word);
                    self.tell(|| format!("loads {value:#x} from {frame:?}"));
                    return self.loaded(place, value);
                }
                (Err(_), _) => {}
            }
            stores::drain();
            match self.process.space.fault(page + LINE * word, access).await {
                Ok(()) => {}
                Err(FaultError::OutOfMemory) => return self.out_of_memory("a fault"),
                Err(error) => return self.model().refused(page, access, error, before),
            }
        }
        Err(format!("a fault at {place} comes again and again"))
    }

    /// A store goes into the store buffer; the model hears of it when it leaves that.
    fn store(&self, place: Place, frame: crate::arch::Frame, value: u64) -> Result<(), Wrong> {
        let Place { page, word } = place;
        self.tell(|| format!("stores {value:#x} to {frame:?}"));
        self.model().may_store(page)?;
        let this = Rc::as_ptr(&self.process.model);
        let what = self.model().identity(this, page, word);
        let cpu = sim::here();
        let (world, model) = (self.world.clone(), self.process.model.clone());
        world.pending.borrow_mut()[cpu].push_back(Pending { what, value });
        let seen = Box::new(move || {
            world.tell(|| format!("    store buffer of cpu{cpu}: {value:#x} to {place}"));
            world.pending.borrow_mut()[cpu].pop_front();
            if let Err(wrong) = model.borrow_mut().stored(page, word, value) {
                schedule::report(wrong);
            }
        });
        stores::put(frame, LINE / 8 * word, value, seen);
        Ok(())
    }

    /// A load of the program's has given `value`, from that page or from one that is just
    /// being moved there.
    fn loaded(&self, place: Place, value: u64) -> Result<(), Wrong> {
        let arriving = self.model().arriving(place.page);
        match (self.loaded_at(place, value), arriving) {
            (Err(_), Some(page)) => self.loaded_at(Place { page, ..place }, value),
            (outcome, _) => outcome,
        }
    }

    /// Its CPU's own last store to that memory, if one is in the store buffer, or what all
    /// see.
    fn loaded_at(&self, Place { page, word }: Place, value: u64) -> Result<(), Wrong> {
        let this = Rc::as_ptr(&self.process.model);
        let what = self.model().identity(this, page, word);
        let shown = self.model().shown(page, word);
        let pending = self.world.pending.borrow();
        let newest = |what| {
            let mut newest_first = pending[sim::here()].iter().rev();
            newest_first
                .find(|store| store.what == what)
                .map(|store| store.value)
        };
        if shown.is_some_and(|file| newest(file) == Some(value)) {
            return Ok(());
        }
        match newest(what) {
            Some(own) if own == value => Ok(()),
            Some(own) => Err(format!(
                "cpu{} has stored {own:#x} in word {word} of {page:#x}, and loads {value:#x}",
                sim::here()
            )),
            None => self.model().loaded(page, word, value),
        }
    }

    async fn kernel_loads(&self, place: Place) -> Result<(), Wrong> {
        let Place { page, word } = place;
        let before = self.model().before(page);
        let mut bytes = [0; 8];
        let space = &self.process.space;
        match space.read_bytes(page + LINE * word, &mut bytes).await {
            Ok(()) => self.loaded(place, u64::from_le_bytes(bytes)),
            Err(AccessError::OutOfMemory) => self.out_of_memory("a copy from user memory"),
            Err(AccessError::BadAddress) => self.model().denied(page, Access::Read, before),
            Err(error) => Err(format!("the kernel loads {place}: {error:?}")),
        }
    }

    async fn kernel_stores(&self, place: Place) -> Result<(), Wrong> {
        let Place { page, word } = place;
        if self.model().arriving(page).is_some() {
            return Ok(());
        }
        let _under_way = UnderWay::store(&self.process.model, page);
        let before = self.model().before(page);
        self.model().begin_store(page);
        let value = self.world.fresh_value();
        let space = &self.process.space;
        let bytes = value.to_le_bytes();
        match space.write_bytes(page + LINE * word, &bytes).await {
            Ok(()) => {
                self.tell(|| format!("the kernel stores {value:#x}"));
                self.model().may_store(page)?;
                self.model().stored(page, word, value)
            }
            Err(AccessError::OutOfMemory) => self.out_of_memory("a copy to user memory"),
            Err(AccessError::BadAddress) => self.model().denied(page, Access::Write, before),
            Err(error) => Err(format!("the kernel stores in {place}: {error:?}")),
        }
    }

    fn write_file(&self, file: usize, place: Place) -> Result<(), Wrong> {
        let file = &self.world.files[file];
        let offset = (place.page * PAGE + LINE * place.word) as u64;
        let value = self.world.fresh_value();
        match file
            .object
            .write_at(offset, &mut &value.to_le_bytes()[..], 8)
        {
            Ok(_) => file.stored(place.page, place.word, value),
            Err(_) => self.out_of_memory("write")?,
        }
        Ok(())
    }

    async fn fork(&self, script: usize) -> Result<(), Wrong> {
        if !self.world.has_room() {
            return Ok(());
        }
        let model = self.model().begin_fork();
        self.half_done.replace(HalfDone::Fork(model.clone()));
        let forked = self.process.space.fork().await;
        self.half_done.take();
        self.model().end_fork(&model);
        let Ok(space) = forked else {
            return self.out_of_memory("fork");
        };
        let child = Thread::new(&self.world, &Process::new(space, model), script);
        self.world.spawn(child.process.clone(), async move {
            match child.forget_unsure().await {
                Ok(true) => child.live().await,
                Ok(false) => {}
                Err(wrong) => schedule::report(wrong),
            }
        });
        Ok(())
    }

    /// Unmaps what was changing in the parent during the fork. Says whether that was
    /// possible.
    async fn forget_unsure(&self) -> Result<bool, Wrong> {
        let unsure = self.model().take_unsure();
        for page in unsure {
            match self.process.space.unmap(page, PAGE).await {
                Ok(()) => self.model().end_change(&[page], Change::Unmapped),
                Err(_) => {
                    self.out_of_memory("munmap in a child")?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn start_thread(&self, script: usize) {
        if self.world.has_room() {
            let thread = Thread::new(&self.world, &self.process, script);
            self.world.spawn(self.process.clone(), thread.live());
        }
    }

    /// After a call that was given up: what it may have changed is unmapped, and then known
    /// again.
    async fn clean_up(&self) -> Result<(), Wrong> {
        match self.half_done.take() {
            HalfDone::Nothing => {}
            HalfDone::Fork(model) => self.model().end_fork(&model),
            HalfDone::Change(ranges, pages) => {
                for Range { start, end } in ranges {
                    if self.process.space.unmap(start, end - start).await.is_err() {
                        // They stay in change for ever.
                        return self.out_of_memory("munmap");
                    }
                }
                self.model().end_change(&pages, Change::Unmapped);
            }
        }
        Ok(())
    }

    /// Instructions that use no memory. A request to this CPU has to end them with an
    /// interrupt, however many there are.
    async fn compute(&self, mut left: usize) -> Result<(), Wrong> {
        let cpu = sim::here();
        let mut asked_for = 0;
        while left != 0 {
            schedule::pause();
            if sim::interrupt_arrives(cpu) {
                shootdown::serve();
                return Ok(());
            }
            if is_asked() {
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
