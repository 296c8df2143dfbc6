//! What a process must see: its own writes, at fork those of its parent, zeroes where
//! nothing was written, the bytes of a file where one is mapped, and no memory where
//! nothing is.
//!
//! The simulated machine goes one step at a time, so there is an exact answer to what a
//! word holds at the moment of a load, whichever thread wrote it on whichever CPU: rule M4
//! allows no other. (A store counts from the moment when it leaves its CPU's store buffer;
//! the CPU itself sees it before. That is x86-TSO.) Uncertainty is in three places only.
//! While a call that changes a page's mapping is under way, an access may be refused or not,
//! but what it finds is what was there before. A child has for each word one of the values
//! that it had in the parent during the fork; which one is known when the child looks for
//! the first time. And a private mapping of a file shows the file until a write makes a copy
//! of it, at some moment between the attempt and the store.

use super::super::PAGE;
use super::plan::{FILE_PAGES, Inherit};
use crate::arch::Access;
use crate::memory::FaultError;
use crate::memory::object::Object;
use crate::memory::vma::vm_area::Protection;
use alloc::sync::Arc;
use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Words of a page that the programs use.
pub const WORDS: usize = 3;

/// A file, or shared anonymous memory, with all values that its words have had.
pub struct File {
    pub object: Arc<Object>,
    words: RefCell<Vec<[Vec<u64>; WORDS]>>,
}

impl File {
    /// A file of [`FILE_PAGES`] pages of zeroes.
    pub fn new() -> Rc<File> {
        let zero = || vec![0];
        Rc::new(File {
            object: Object::with_len((FILE_PAGES * PAGE) as u64).unwrap(),
            words: RefCell::new(vec![[zero(), zero(), zero()]; FILE_PAGES]),
        })
    }

    fn now(&self, page: usize, word: usize) -> Option<u64> {
        self.words.borrow()[page][word].last().copied()
    }

    fn since(&self, page: usize, word: usize, since: usize) -> Vec<u64> {
        self.words.borrow()[page][word][since..].to_vec()
    }

    /// How many values each word has had but for the present one.
    fn moment(&self, page: usize) -> [usize; WORDS] {
        let words = self.words.borrow();
        core::array::from_fn(|word| words[page][word].len() - 1)
    }

    /// The word is `value` from now on.
    pub fn stored(&self, page: usize, word: usize, value: u64) {
        self.words.borrow_mut()[page][word].push(value);
    }
}

/// What a word holds.
#[derive(Clone)]
pub enum Word {
    Is(u64),
    /// One of these, in the order in which they were written.
    OneOf(Vec<u64>),
}

/// What a page shows.
#[derive(Clone)]
pub enum Content {
    /// Words of the process's own.
    Own([Word; WORDS]),
    /// A page of a file.
    Shared(Rc<File>, usize),
    /// A page of a file, or a copy of it as it was at or after that moment, if there is one.
    Private(Rc<File>, usize, Option<[usize; WORDS]>),
}

impl Content {
    /// Fresh memory.
    pub const ZEROES: Content = Content::Own([const { Word::Is(0) }; WORDS]);

    fn is_beyond_end(&self) -> bool {
        match self {
            Content::Own(_) => false,
            Content::Shared(_, page) | Content::Private(_, page, _) => *page >= FILE_PAGES,
        }
    }
}

#[derive(Clone)]
struct Mapping {
    rights: Protection,
    content: Content,
    /// What it shows when it begins anew.
    fresh: Content,
    inherit: Inherit,
}

/// A page of the process.
#[derive(Clone, Default)]
struct Page {
    mapping: Option<Mapping>,
    /// A call that changes the mapping is under way.
    changing: bool,
    /// Counted up when a change begins and when it ends.
    changes: u64,
    /// The parent's mapping was changing during the fork: whether the child has it is not
    /// known.
    unsure: bool,
    /// It began anew at the fork, whatever the parent does.
    apart: bool,
    /// Another page is being moved here: an access may find what is there, as soon as it has
    /// come.
    arriving: Option<usize>,
    /// A call under way makes the page begin anew. When that is given up half-way, others may
    /// find it so before the call's end is known.
    anew: bool,
    /// Stores that are under way.
    stores: usize,
}

/// What a change has led to.
pub enum Change {
    /// All is as it was.
    Nothing,
    Unmapped,
    Protected(Protection),
    /// The content of each page.
    Mapped(Protection, Vec<Content>),
    /// The content is dropped.
    Discarded,
    /// From the first of two pages to the second; the first may stay mapped, and begins
    /// anew then.
    Moved(bool),
    /// What children get.
    Inherited(Inherit),
}

/// Which word of which memory it is: the same for all that share it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The process's own, at this address.
    Own(*const RefCell<Model>, usize, usize),
    /// A file's.
    File(*const File, usize, usize),
}

/// What one process must see. Pages are named by their addresses.
#[derive(Default)]
pub struct Model {
    pages: BTreeMap<usize, Page>,
    /// Children whose forks are under way.
    forks: Vec<Rc<RefCell<Model>>>,
}

/// How a page was when a fault on it began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Before(u64);

/// What is not as it must be.
pub type Wrong = String;

impl Model {
    /// A process with these pages, none of them mapped.
    pub fn new(pages: &[usize]) -> Rc<RefCell<Model>> {
        let pages = pages.iter().map(|&page| (page, Page::default()));
        Rc::new(RefCell::new(Model {
            pages: pages.collect(),
            forks: Vec::new(),
        }))
    }

    fn page(&mut self, page: usize) -> &mut Page {
        self.pages.get_mut(&page).expect("a page of the universe")
    }

    /// The word of a file that a private page may still show.
    pub fn shown(&self, page: usize, word: usize) -> Option<Identity> {
        match &self.pages[&page].mapping.as_ref()?.content {
            Content::Private(file, number, _) => {
                Some(Identity::File(Rc::as_ptr(file), *number, word))
            }
            _ => None,
        }
    }

    /// The memory that a store to a word of a page goes to; `this` is the model itself.
    pub fn identity(&self, this: *const RefCell<Model>, page: usize, word: usize) -> Identity {
        match self.pages[&page].mapping.as_ref().map(|it| &it.content) {
            Some(Content::Shared(file, number)) => Identity::File(Rc::as_ptr(file), *number, word),
            _ => Identity::Own(this, page, word),
        }
    }

    /// The page that is being moved to this one.
    pub fn arriving(&self, page: usize) -> Option<usize> {
        self.pages[&page].arriving
    }

    /// A move of one page to another begins; see `arriving`.
    pub fn begin_move(&mut self, from: usize, to: usize) {
        self.page(to).arriving = Some(from);
    }

    /// The change that has begun makes these pages begin anew; see `anew`.
    pub fn begin_anew(&mut self, pages: &[usize]) {
        pages.iter().for_each(|&page| self.page(page).anew = true);
    }

    /// A store to the page begins, or ends, done or not.
    pub fn count_stores(&mut self, page: usize, change: isize) {
        let page = self.page(page);
        page.stores = page.stores.saturating_add_signed(change);
    }

    /// Whether a thread tries to store to the page.
    pub fn is_being_stored(&self, page: usize) -> bool {
        self.pages[&page].stores != 0
    }

    /// A load has given `value`, now.
    pub fn loaded(&mut self, page: usize, word: usize, value: u64) -> Result<(), Wrong> {
        let place = self.page(page);
        let changing = place.changing;
        let Some(mapping) = &mut place.mapping else {
            return Err(format!("M5: {page:#x} is unmapped, and gives {value:#x}"));
        };
        if mapping.rights.is_empty() && !changing {
            return Err(format!("M5: {page:#x} may not be read, and is"));
        }
        if mapping.content.is_beyond_end() {
            return Err(format!(
                "{page:#x} is beyond the file, and gives {value:#x}"
            ));
        }
        let right = match &mut mapping.content {
            Content::Own(words) => match &words[word] {
                Word::Is(right) => vec![*right],
                Word::OneOf(values) if values.contains(&value) => {
                    words[word] = Word::Is(value);
                    return Ok(());
                }
                Word::OneOf(values) => values.clone(),
            },
            Content::Shared(file, page) | Content::Private(file, page, None) => {
                file.now(*page, word).into_iter().collect()
            }
            Content::Private(file, page, Some(since)) => file.since(*page, word, since[word]),
        };
        let anew = |fresh: &Content| match fresh {
            Content::Own(words) => matches!(words[word], Word::Is(fresh) if fresh == value),
            Content::Shared(file, page) | Content::Private(file, page, _) => {
                file.now(*page, word) == Some(value)
            }
        };
        if right.contains(&value) || (place.anew && anew(&mapping.fresh)) {
            Ok(())
        } else {
            Err(format!(
                "word {word} of {page:#x} is {right:#x?}, and a load gives {value:#x}"
            ))
        }
    }

    /// A thread begins to store to the page.
    pub fn begin_store(&mut self, page: usize) {
        if let Some(mapping) = &mut self.page(page).mapping
            && !mapping.content.is_beyond_end()
            && let Content::Private(file, number, since @ None) = &mut mapping.content
        {
            *since = Some(file.moment(*number));
        }
        // The copy may be there before the fork has come to the page, and the store after it.
        for child in &self.forks {
            child.borrow_mut().begin_store(page);
        }
    }

    /// Whether a store may be done now.
    pub fn may_store(&mut self, page: usize) -> Result<(), Wrong> {
        let place = self.page(page);
        match &place.mapping {
            None => Err(format!("M5: {page:#x} is unmapped, and takes a store")),
            Some(mapping) if mapping.content.is_beyond_end() => {
                Err(format!("{page:#x} is beyond the file, and takes a store"))
            }
            Some(mapping) if mapping.rights.contains(Protection::WRITE) || place.changing => Ok(()),
            Some(_) => Err(format!("M5: {page:#x} may not be written, and is")),
        }
    }

    /// A store of `value` can be seen by all, from now on.
    pub fn stored(&mut self, page: usize, word: usize, value: u64) -> Result<(), Wrong> {
        let Some(mapping) = &mut self.page(page).mapping else {
            return Err(format!(
                "M5: {page:#x} is unmapped, and a store to it comes afterwards"
            ));
        };
        match &mut mapping.content {
            Content::Own(words) => words[word] = Word::Is(value),
            Content::Shared(file, number) => file.stored(*number, word, value),
            Content::Private(file, number, since) => {
                let since = since.unwrap_or_else(|| file.moment(*number));
                let mut words =
                    core::array::from_fn(|n| Word::OneOf(file.since(*number, n, since[n])));
                words[word] = Word::Is(value);
                mapping.content = Content::Own(words);
            }
        }
        for child in &self.forks {
            child.borrow_mut().stored_by_parent(page, word, value);
        }
        Ok(())
    }

    fn stored_by_parent(&mut self, page: usize, word: usize, value: u64) {
        let page = self.page(page);
        if page.apart {
            return;
        }
        match page.mapping.as_mut().map(|mapping| &mut mapping.content) {
            Some(Content::Own(words)) => match &mut words[word] {
                Word::Is(before) => words[word] = Word::OneOf(vec![*before, value]),
                Word::OneOf(values) => values.push(value),
            },
            Some(Content::Private(..)) => page.unsure = true,
            Some(Content::Shared(..)) | None => {}
        }
    }

    /// To be asked before a fault, for [`refused`](Self::refused).
    pub fn before(&mut self, page: usize) -> Before {
        Before(self.page(page).changes)
    }

    /// A fault that began at `before` has said no.
    pub fn refused(
        &mut self,
        page: usize,
        access: Access,
        error: FaultError,
        before: Before,
    ) -> Result<(), Wrong> {
        let place = self.page(page);
        if place.changing || before != Before(place.changes) {
            return Ok(());
        }
        let allows = |rights: Protection| match access {
            Access::Write => rights.contains(Protection::WRITE),
            _ => !rights.is_empty(),
        };
        let right = match (error, &place.mapping) {
            (FaultError::NotMapped, mapping) => mapping.is_none(),
            (FaultError::NotAllowed, Some(mapping)) => !allows(mapping.rights),
            (FaultError::BeyondEnd, Some(mapping)) => mapping.content.is_beyond_end(),
            _ => false,
        };
        if right {
            Ok(())
        } else {
            let rights = place.mapping.as_ref().map(|mapping| mapping.rights);
            Err(format!(
                "{access:?} of {page:#x} with {rights:?} is refused: {error:?}"
            ))
        }
    }

    /// The kernel was refused an access that began at `before`, for whatever reason.
    pub fn denied(&mut self, page: usize, access: Access, before: Before) -> Result<(), Wrong> {
        let why = match &self.page(page).mapping {
            None => FaultError::NotMapped,
            Some(mapping) if mapping.content.is_beyond_end() => FaultError::BeyondEnd,
            Some(_) => FaultError::NotAllowed,
        };
        self.refused(page, access, why, before)
    }

    /// The pages in a range.
    pub fn within(&self, start: usize, end: usize) -> Vec<usize> {
        self.pages
            .range(start..end)
            .map(|(&page, _)| page)
            .collect()
    }

    /// The pages where nothing is mapped.
    pub fn unmapped(&self) -> Vec<usize> {
        let unmapped = self.pages.iter().filter(|(_, page)| page.mapping.is_none());
        unmapped.map(|(&address, _)| address).collect()
    }

    /// Whether no thread changes any of the pages.
    pub fn are_at_rest(&self, pages: &[usize]) -> bool {
        pages.iter().all(|page| !self.pages[page].changing)
    }

    /// A change of these pages begins.
    pub fn begin_change(&mut self, pages: &[usize]) {
        self.doubt(pages);
        for page in pages {
            let page = self.page(*page);
            page.changing = true;
            page.changes += 1;
        }
    }

    /// The change is over.
    pub fn end_change(&mut self, pages: &[usize], change: Change) {
        if !matches!(change, Change::Nothing) {
            self.doubt(pages);
        }
        for (n, page) in pages.iter().enumerate() {
            let page = self.page(*page);
            page.changing = false;
            page.anew = false;
            page.arriving = None;
            page.changes += 1;
            match (&change, &mut page.mapping) {
                (Change::Unmapped, mapping) => *mapping = None,
                (Change::Mapped(rights, contents), mapping) => {
                    *mapping = Some(Mapping {
                        rights: *rights,
                        content: contents[n].clone(),
                        fresh: contents[n].clone(),
                        inherit: Inherit::Contents,
                    });
                }
                (Change::Protected(rights), Some(mapping)) => mapping.rights = *rights,
                (Change::Discarded, Some(mapping)) => mapping.content = mapping.fresh.clone(),
                (Change::Inherited(what), Some(mapping)) => mapping.inherit = *what,
                (Change::Nothing | Change::Moved(_), _) | (_, None) => {}
            }
        }
        if let (Change::Moved(leaves), &[from, to]) = (change, pages) {
            let old = self.page(from).mapping.take();
            if leaves {
                self.page(from).mapping = old.clone().map(|mapping| Mapping {
                    content: mapping.fresh.clone(),
                    ..mapping
                });
            }
            self.page(to).mapping = old;
        }
        // A thread that was about to store to the old mapping may store to this one.
        for &page in pages {
            if self.is_being_stored(page) {
                self.begin_store(page);
            }
        }
    }

    /// Children that are being made do not know these pages.
    fn doubt(&mut self, pages: &[usize]) {
        for child in &self.forks {
            let mut child = child.borrow_mut();
            pages
                .iter()
                .for_each(|page| child.page(*page).unsure = true);
        }
    }

    /// A fork begins. The child's model takes part in what happens from now on.
    pub fn begin_fork(&mut self) -> Rc<RefCell<Model>> {
        let mut pages = self.pages.clone();
        for page in pages.values_mut() {
            page.unsure |= page.changing;
            page.changing = false;
            page.anew = false;
            page.arriving = None;
            page.stores = 0;
            page.apart = false;
            match page.mapping.as_mut().map(|it| (it.inherit, it)) {
                Some((Inherit::Nothing, _)) => page.mapping = None,
                Some((Inherit::Zeroes, mapping)) => {
                    mapping.content = Content::ZEROES;
                    page.apart = true;
                }
                Some((Inherit::Contents, _)) | None => {}
            }
        }
        let child = Rc::new(RefCell::new(Model {
            pages,
            forks: Vec::new(),
        }));
        self.forks.push(child.clone());
        child
    }

    /// The fork is over.
    pub fn end_fork(&mut self, child: &Rc<RefCell<Model>>) {
        self.forks.retain(|other| !Rc::ptr_eq(other, child));
    }

    /// Pages that this child has to unmap before it can say anything of them.
    pub fn take_unsure(&mut self) -> Vec<usize> {
        let unsure = self.pages.iter_mut().filter(|(_, page)| page.unsure);
        unsure
            .map(|(&address, page)| {
                page.unsure = false;
                address
            })
            .collect()
    }
}
