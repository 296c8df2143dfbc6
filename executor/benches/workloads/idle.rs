//! Tasks that do nothing but wait, to see what they keep.

use super::Runtime;
use std::future::pending;

/// The values that a channel has room for.
const CAPACITY: usize = 16;

/// What such a task waits for.
#[derive(Clone, Copy, Debug)]
pub enum Idle {
    Nothing0,
    Nothing64,
    Nothing256,
    Sleep,
    Notified,
    Oneshot,
    Mpsc,
}

impl Idle {
    pub const ALL: [Self; 7] = [
        Self::Nothing0,
        Self::Nothing64,
        Self::Nothing256,
        Self::Sleep,
        Self::Notified,
        Self::Oneshot,
        Self::Mpsc,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing0 => "keeps 0 bytes",
            Self::Nothing64 => "keeps 64 bytes",
            Self::Nothing256 => "keeps 256 bytes",
            Self::Sleep => "sleeps",
            Self::Notified => "waits at a Notify that many share",
            Self::Oneshot => "waits at a oneshot, and that",
            Self::Mpsc => "waits at an mpsc for 16 words, and that",
        }
    }

    /// Spawns so many. `None`: the executor has nothing of the kind.
    pub fn spawn<R: Runtime>(self, runtime: &R, count: usize) -> Option<()> {
        let notify = match self {
            Self::Notified => Some(R::notify()?),
            _ => None,
        };
        for _ in 0..count {
            match self {
                Self::Nothing0 => runtime.spawn_detached(keep::<0>()),
                Self::Nothing64 => runtime.spawn_detached(keep::<64>()),
                Self::Nothing256 => runtime.spawn_detached(keep::<256>()),
                Self::Sleep => runtime.spawn_detached(runtime.sleep()?),
                Self::Notified => runtime.spawn_detached(R::notified(notify.clone()?)),
                Self::Oneshot => {
                    let (sender, receiver) = R::oneshot();
                    // Nobody will send, nor say so.
                    std::mem::forget(sender);
                    runtime.spawn_detached(R::receive_one(receiver));
                }
                Self::Mpsc => {
                    let (sender, mut receiver) = R::mpsc(CAPACITY);
                    std::mem::forget(sender);
                    runtime.spawn_detached(async move {
                        R::recv(&mut receiver).await;
                    });
                }
            }
        }
        Some(())
    }
}

/// Waits for ever and keeps so many bytes meanwhile.
async fn keep<const KEPT: usize>() {
    let kept = std::hint::black_box([0_u8; KEPT]);
    pending::<()>().await;
    std::hint::black_box(&kept);
}
