//! What a layer has and a tree cannot: told in one line.

use crate::progress::note;

/// Special files of one layer. The note is written when it is dropped.
#[derive(Default)]
pub(super) struct LeftOut {
    first: Option<String>,
    others: usize,
}

impl LeftOut {
    pub(super) fn add(&mut self, path: &str) {
        match &self.first {
            None => self.first = Some(path.to_owned()),
            Some(_) => self.others += 1,
        }
    }
}

impl Drop for LeftOut {
    fn drop(&mut self) {
        match (&self.first, self.others) {
            (None, _) => {}
            (Some(path), 0) => note(&format!("left out: {path}, a special file")),
            (Some(path), others) => {
                note(&format!("left out: {path} and {others} more special files"));
            }
        }
    }
}
