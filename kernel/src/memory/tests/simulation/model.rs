//! What a process must see: its own writes, at fork those of its parent, zeroes where
//! nothing was written, and no memory where none is mapped.
//!
//! The simulated machine goes one step at a time, so there is an exact answer to what a
//! word holds at the moment of a load, whichever thread wrote it on whichever CPU: rule M4
//! allows no other. Uncertainty is in two places only. While a call that changes a page's
//! mapping is under way, an access may find the page before or after the change. And a
//! child has for each word one of the values that it had in the parent during the fork;
//! which one is known when the child looks for the first time.

use super::super::super::FaultError;
use super::super::super::area::Protection;
use crate::arch::Access;
use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Words of a page that the programs use.
pub const WORDS: usize = 3;

/// What a word holds.
#[derive(Clone)]
enum Word {
    Is(u64),
    /// One of these, in the order in which they were written.
    OneOf(Vec<u64>),
}

/// A page of the process.
#[derive(Clone)]
struct Page {
    /// The rights, where something is mapped.
    rights: Option<Protection>,
    words: [Word; WORDS],
    /// A call that changes the mapping is under way.
    changing: bool,
    /// Counted up when a change begins and when it ends.
    changes: u64,
    /// The parent's mapping was changing during the fork: whether the child has it is not
    /// known.
    unsure: bool,
}

const ZEROES: [Word; WORDS] = [const { Word::Is(0) }; WORDS];

impl Page {
    const NONE: Page = Page {
        rights: None,
        words: ZEROES,
        changing: false,
        changes: 0,
        unsure: false,
    };
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
    pub fn new(pages: &[usize]) -> Model {
        Model {
            pages: pages.iter().map(|&page| (page, Page::NONE)).collect(),
            forks: Vec::new(),
        }
    }

    fn page(&mut self, page: usize) -> &mut Page {
        self.pages.get_mut(&page).expect("a page of the universe")
    }

    /// A load has given `value`, now.
    pub fn loaded(&mut self, page: usize, word: usize, value: u64) -> Result<(), Wrong> {
        let place = self.page(page);
        let Some(rights) = place.rights else {
            return Err(format!("M5: {page:#x} is unmapped, and gives {value:#x}"));
        };
        if rights.is_empty() && !place.changing {
            return Err(format!("M5: {page:#x} may not be read, and is"));
        }
        match &place.words[word] {
            Word::Is(right) if *right == value => Ok(()),
            Word::Is(right) => Err(format!(
                "word {word} of {page:#x} is {right:#x}, and a load gives {value:#x}"
            )),
            Word::OneOf(values) if values.contains(&value) => {
                place.words[word] = Word::Is(value);
                Ok(())
            }
            Word::OneOf(values) => Err(format!(
                "M3: word {word} of {page:#x} is one of {values:x?}, and a load gives {value:#x}"
            )),
        }
    }

    /// A store of `value` has been done, now.
    pub fn stored(&mut self, page: usize, word: usize, value: u64) -> Result<(), Wrong> {
        let place = self.page(page);
        let Some(rights) = place.rights else {
            return Err(format!("M5: {page:#x} is unmapped, and takes a store"));
        };
        if !rights.contains(Protection::WRITE) && !place.changing {
            return Err(format!("M5: {page:#x} may not be written, and is"));
        }
        place.words[word] = Word::Is(value);
        for child in &self.forks {
            let mut child = child.borrow_mut();
            let word = &mut child.page(page).words[word];
            match word {
                Word::Is(before) => *word = Word::OneOf(vec![*before, value]),
                Word::OneOf(values) => values.push(value),
            }
        }
        Ok(())
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
        let right = match (error, place.rights) {
            (FaultError::NotMapped, rights) => rights.is_none(),
            (FaultError::NotAllowed, Some(rights)) => match access {
                Access::Write => !rights.contains(Protection::WRITE),
                _ => rights.is_empty(),
            },
            _ => false,
        };
        if right {
            Ok(())
        } else {
            let rights = place.rights;
            Err(format!(
                "{access:?} of {page:#x} with {rights:?} is refused: {error:?}"
            ))
        }
    }

    /// The kernel was refused an access that began at `before`, for whatever reason.
    pub fn denied(&mut self, page: usize, access: Access, before: Before) -> Result<(), Wrong> {
        let why = match self.page(page).rights {
            None => FaultError::NotMapped,
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
        let unmapped = self.pages.iter().filter(|(_, page)| page.rights.is_none());
        unmapped.map(|(&address, _)| address).collect()
    }

    /// Whether nobody changes any of the pages, and `mapped` says whether all, or none, of
    /// them shall be mapped now.
    pub fn are_free_to_change(&self, pages: &[usize], mapped: Option<bool>) -> bool {
        pages.iter().all(|page| {
            let page = &self.pages[page];
            !page.changing && mapped.is_none_or(|mapped| page.rights.is_some() == mapped)
        })
    }

    /// A change of these pages begins; `fresh` rights where something is being mapped.
    pub fn begin_change(&mut self, pages: &[usize], fresh: Option<Protection>) {
        self.doubt(pages);
        for page in pages {
            let page = self.page(*page);
            page.changing = true;
            page.changes += 1;
            if fresh.is_some() {
                page.rights = fresh;
                page.words = ZEROES;
            }
        }
    }

    /// The change is over, and has led to these rights; `None` where nothing is mapped.
    pub fn end_change(&mut self, pages: &[usize], rights: Option<Protection>) {
        self.doubt(pages);
        for page in pages {
            let page = self.page(*page);
            page.changing = false;
            page.changes += 1;
            page.rights = rights;
        }
    }

    /// The change has failed, and all is as it was.
    pub fn undo_change(&mut self, pages: &[usize]) {
        for page in pages {
            let page = self.page(*page);
            page.changing = false;
            page.changes += 1;
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
