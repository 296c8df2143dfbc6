//! Extended attributes of files (xattr(7)): names with values, in memory as the files are.

use crate::errno::Errno;
use crate::memory::fallible;
use alloc::sync::Arc;
use alloc::vec::Vec;
use spin::Mutex;

/// The longest name (`XATTR_NAME_MAX`).
pub const MAX_NAME: usize = 255;
/// The largest value (`XATTR_SIZE_MAX`), and the longest list (`XATTR_LIST_MAX`).
pub const MAX_VALUE: usize = 65536;
/// How many bytes the attributes of one file may have together: names and values are the kernel's
/// memory.
const MAX_ALL: usize = MAX_VALUE;

#[derive(Clone)]
struct Attribute {
    name: Arc<[u8]>,
    value: Arc<[u8]>,
}

impl Attribute {
    fn size(&self) -> usize {
        self.name.len() + self.value.len()
    }
}

/// A list that is replaced as a whole, so that the lock is held to take it and no longer.
type List = Option<Arc<Vec<Attribute>>>;

/// What setxattr(2) does with a name that is there, or is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// It is set in any case.
    Any,
    /// It must not be there (`XATTR_CREATE`).
    Create,
    /// It must be there (`XATTR_REPLACE`).
    Replace,
}

/// The attributes of one file.
pub struct ExtendedAttributes(Mutex<List>);

impl ExtendedAttributes {
    pub(super) fn new() -> ExtendedAttributes {
        ExtendedAttributes(Mutex::new(None))
    }

    fn current(&self) -> List {
        self.0.lock().clone()
    }

    /// The value of a name.
    ///
    /// # Errors
    /// `ENODATA` if there is none.
    pub fn get(&self, name: &[u8]) -> Result<Arc<[u8]>, Errno> {
        let list = self.current();
        let found = all(&list).iter().find(|one| *one.name == *name);
        Ok(found.ok_or(Errno::ENODATA)?.value.clone())
    }

    /// Sets the value of a name.
    ///
    /// # Errors
    /// `EEXIST` or `ENODATA` as the mode says; `ENOSPC` if the file has too much already.
    pub fn set(&self, name: &[u8], value: &[u8], mode: Mode) -> Result<(), Errno> {
        let new = Attribute {
            name: fallible::bytes(name)?,
            value: fallible::bytes(value)?,
        };
        self.change(|old| {
            let is_there = old.iter().any(|one| *one.name == *name);
            match (mode, is_there) {
                (Mode::Create, true) => return Err(Errno::EEXIST),
                (Mode::Replace, false) => return Err(Errno::ENODATA),
                _ => {}
            }
            let mut list = without(old, name)?;
            list.push(new.clone());
            match list.iter().map(Attribute::size).sum::<usize>() {
                ..=MAX_ALL => Ok(list),
                _ => Err(Errno::ENOSPC),
            }
        })
    }

    /// Removes a name.
    ///
    /// # Errors
    /// `ENODATA` if there is none.
    pub fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        self.change(|old| match old.iter().any(|one| *one.name == *name) {
            true => without(old, name),
            false => Err(Errno::ENODATA),
        })
    }

    /// Puts a new list in place of the old one, which must not have changed meanwhile.
    fn change(
        &self,
        change: impl Fn(&[Attribute]) -> Result<Vec<Attribute>, Errno>,
    ) -> Result<(), Errno> {
        loop {
            let old = self.current();
            let new = Some(fallible::arc(change(all(&old))?)?);
            let mut now = self.0.lock();
            let is_same = match (&*now, &old) {
                (Some(now), Some(old)) => Arc::ptr_eq(now, old),
                (now, old) => now.is_none() && old.is_none(),
            };
            if is_same {
                *now = new;
                // `old` has another reference to what was there, and is dropped after the lock.
                return Ok(());
            }
        }
    }

    /// The names that `shown` says, each with a zero byte behind it.
    pub fn list(&self, shown: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, Errno> {
        let list = self.current();
        let names = || {
            all(&list)
                .iter()
                .map(|one| &*one.name)
                .filter(|name| shown(name))
        };
        let mut text = fallible::vec(names().map(|name| name.len() + 1).sum())?;
        for name in names() {
            text.extend_from_slice(name);
            text.push(0);
        }
        Ok(text)
    }
}

fn all(list: &List) -> &[Attribute] {
    list.as_ref().map_or(&[], |list| list)
}

/// A copy of a list without one name, with room for one more.
fn without(list: &[Attribute], name: &[u8]) -> Result<Vec<Attribute>, Errno> {
    let mut copy = fallible::vec(list.len() + 1)?;
    copy.extend(list.iter().filter(|one| *one.name != *name).cloned());
    Ok(copy)
}
