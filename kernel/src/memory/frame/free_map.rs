//! The free frames of the common pool, one bit for each (rule M10).
//!
//! Single frames are taken from the low end of memory and runs of neighbours from the high end, so
//! the two seldom break each other up. A summary has one bit for each word of the map, set while the
//! word has a bit, so the first free frame is found without a walk over what is in use.

use crate::arch::Frame;

/// Frames that one word stands for.
const BITS: usize = u64::BITS as usize;

/// How many words are looked at for a run: a gigabyte of memory. Rule E4.
#[cfg(any(target_os = "none", all(test, not(loom))))]
const MOST_WORDS: usize = 4096;

/// A set of frames.
pub(super) struct FreeMap {
    words: &'static mut [u64],
    summary: &'static mut [u64],
    len: usize,
}

/// How many words a map of so many frames takes.
pub(super) const fn words(frames: usize) -> usize {
    let words = frames.div_ceil(BITS);
    words + words.div_ceil(BITS)
}

impl FreeMap {
    /// An empty map of the frames 0 to `frames`, in that many zeroed [`words`].
    pub(super) fn new(memory: &'static mut [u64], frames: usize) -> FreeMap {
        let (words, summary) = memory.split_at_mut(frames.div_ceil(BITS));
        FreeMap {
            words,
            summary,
            len: 0,
        }
    }

    /// How many frames are in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a frame.
    ///
    /// # Panics
    /// If it is there already.
    pub(super) fn push(&mut self, frame: Frame) {
        let number = frame.number() as usize;
        let (word, bit) = (number / BITS, 1 << (number % BITS));
        assert!(self.words[word] & bit == 0, "M1: {frame:?} was freed twice");
        self.words[word] |= bit;
        self.summary[word / BITS] |= 1 << (word % BITS);
        self.len += 1;
    }

    /// Takes the first frame.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        let at = self.summary.iter().position(|&words| words != 0)?;
        let word = at * BITS + self.summary[at].trailing_zeros() as usize;
        let number = word * BITS + self.words[word].trailing_zeros() as usize;
        self.remove(number);
        Some(Frame::new(number as u32))
    }

    /// Takes `count` frames that are neighbours, and returns the first of them. Only the last
    /// gigabyte is looked at.
    #[cfg(any(target_os = "none", all(test, not(loom))))]
    pub(super) fn pop_run(&mut self, count: usize) -> Option<Frame> {
        if count == 0 || count > self.len {
            return None;
        }
        let first = self.find_run(count)?;
        (first..first + count).for_each(|number| self.remove(number));
        Some(Frame::new(first as u32))
    }

    fn remove(&mut self, number: usize) {
        let word = number / BITS;
        self.words[word] &= !(1 << (number % BITS));
        if self.words[word] == 0 {
            self.summary[word / BITS] &= !(1 << (word % BITS));
        }
        self.len -= 1;
    }

    #[cfg(any(target_os = "none", all(test, not(loom))))]
    fn find_run(&self, count: usize) -> Option<usize> {
        // The run at the low end of the words above.
        let mut above = 0;
        for (at, &word) in self.words.iter().enumerate().rev().take(MOST_WORDS) {
            let high = word.leading_ones() as usize;
            if high + above >= count {
                return Some((at + 1) * BITS - high);
            }
            if let Some(bit) = run_within(word, count) {
                return Some(at * BITS + bit);
            }
            above = match high {
                BITS => above + BITS,
                _ => word.trailing_ones() as usize,
            };
        }
        None
    }
}

/// The lowest bit of a run of `count` ones in a word.
#[cfg(any(target_os = "none", all(test, not(loom))))]
fn run_within(word: u64, count: usize) -> Option<usize> {
    if count > BITS {
        return None;
    }
    // After each step a bit is set where a run of `known` ones begins.
    let (mut starts, mut known) = (word, 1);
    while known < count {
        let step = known.min(count - known);
        starts &= starts >> step;
        known += step;
    }
    (starts != 0).then(|| starts.trailing_zeros() as usize)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn map(frames: usize, free: impl IntoIterator<Item = usize>) -> FreeMap {
        let mut map = FreeMap::new(vec![0; words(frames)].leak(), frames);
        free.into_iter()
            .for_each(|number| map.push(Frame::new(number as u32)));
        map
    }

    fn pop(map: &mut FreeMap) -> Option<u32> {
        map.pop().map(|frame| frame.number())
    }

    fn pop_run(map: &mut FreeMap, count: usize) -> Option<u32> {
        map.pop_run(count).map(|frame| frame.number())
    }

    #[test]
    fn each_frame_is_taken_once_the_lowest_first() {
        let mut map = map(10_000, [9_999, 5, 4_100, 64]);
        assert_eq!(map.len(), 4);
        let taken: Vec<_> = std::iter::from_fn(|| pop(&mut map)).collect();
        assert_eq!(taken, [5, 64, 4_100, 9_999]);
        assert_eq!((map.len(), pop(&mut map)), (0, None));
    }

    #[test]
    #[should_panic(expected = "M1")]
    fn a_frame_is_not_freed_twice() {
        map(64, [3, 3]);
    }

    #[test]
    fn a_run_is_found_within_a_word_and_over_several() {
        let mut one = map(300, (10..14).chain(20..23));
        assert_eq!(pop_run(&mut one, 5), None);
        assert_eq!(pop_run(&mut one, 4), Some(10));
        assert_eq!(pop_run(&mut one, 3), Some(20));
        assert_eq!(one.len(), 0);

        let mut two = map(300, 60..70);
        assert_eq!(pop_run(&mut two, 10), Some(60));

        let mut many = map(300, 10..290);
        assert_eq!(pop_run(&mut many, 281), None);
        assert_eq!(pop_run(&mut many, 200).map(|first| first >= 10), Some(true));
        assert_eq!(many.len(), 80);
    }

    #[test]
    fn runs_of_all_lengths_are_runs() {
        // Every third frame of the upper half is in use.
        for count in 1..200 {
            let is_free = |number: &usize| *number < 1000 || !number.is_multiple_of(3);
            let mut map = map(2000, (0..2000).filter(is_free));
            let first = map.pop_run(count).expect("half of it is one run").number() as usize;
            assert!((first..first + count).all(|number| is_free(&number)));
            let rest: Vec<_> = std::iter::from_fn(|| pop(&mut map)).collect();
            assert!(
                rest.iter()
                    .all(|&number| !(first..first + count).contains(&(number as usize)))
            );
        }
    }
}
