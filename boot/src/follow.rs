//! Shows the kernel's log on the standard error while QEMU writes it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::progress;

/// How often the file is looked at.
const TICK: Duration = Duration::from_millis(20);

/// A thread that copies a growing file; [`finish`](Self::finish) copies what is
/// left and ends it.
#[derive(Debug)]
pub struct Follower {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Follower {
    /// Follows the file at `path`, which may not be there yet.
    #[must_use]
    pub fn start(path: &Path) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let is_over = Arc::clone(&is_over);
            let path = path.to_path_buf();
            move || follow(path, &is_over)
        });
        Self { is_over, thread }
    }

    /// Shows the rest. To be called when nothing more will be written.
    pub fn finish(self) {
        // Pairs with the load in `follow`: what QEMU wrote before is read after.
        self.is_over.store(true, Ordering::Release);
        // A follower that panicked has nothing left to show.
        let _ = self.thread.join();
    }
}

fn follow(path: PathBuf, is_over: &AtomicBool) {
    let mut file = None;
    // What is not a whole line yet.
    let mut pending = Vec::new();
    loop {
        let last_round = is_over.load(Ordering::Acquire);
        if file.is_none() {
            file = File::open(&path).ok();
        }
        if let Some(file) = &mut file
            && file.read_to_end(&mut pending).is_err()
        {
            return;
        }
        let whole = match pending.iter().rposition(|byte| *byte == b'\n') {
            _ if last_round => pending.len(),
            Some(end) => end + 1,
            None => 0,
        };
        let lines: Vec<u8> = pending.drain(..whole).collect();
        if progress::write_all(&mut io::stderr(), &lines).is_err() || last_round {
            return;
        }
        thread::sleep(TICK);
    }
}
