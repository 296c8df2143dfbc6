use super::super::testing::{Program, now};
use super::*;
use crate::wait::Undisturbed;
use alloc::vec;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};

const PAGE: usize = 4096;

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl alloc::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn taken(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// For ever.
const WAIT: Wait<'_> = Wait::For(&Undisturbed);

fn wakes() -> (Arc<Wakes>, Waker) {
    let wakes = Arc::new(Wakes::default());
    (wakes.clone(), Waker::from(wakes))
}

/// Bytes of which each tells its place.
fn pattern(start: usize, length: usize) -> Vec<u8> {
    (start..start + length).map(|at| (at % 251) as u8).collect()
}

fn write(program: &Program, writer: &Writer, bytes: &[u8]) -> SysResult {
    now(writer.write(&mut program.holding(0, bytes), Wait::Never))
}

fn read(program: &Program, reader: &Reader, length: usize) -> Result<Vec<u8>, Errno> {
    let mut to = program.buffer(64 * 1024, length);
    let n = now(reader.read(&mut to, Wait::Never))?;
    Ok(program.bytes(64 * 1024, n))
}

#[test]
fn bytes_come_out_as_they_went_in() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    let (mut written, mut seen) = (0, 0);
    // Sizes that go round the ring at every possible offset, and make it grow.
    for step in 0..600 {
        let length = 1 + (step * 997) % 9000;
        if let Ok(n) = write(&program, &writer, &pattern(written, length)) {
            written += n;
        }
        if step % 3 != 0 {
            let wanted = 1 + (step * 577) % 12000;
            if let Ok(bytes) = read(&program, &reader, wanted) {
                assert_eq!(bytes, pattern(seen, bytes.len()));
                seen += bytes.len();
            }
        }
        assert_eq!(reader.pipe().readable(), written - seen);
    }
    assert!(seen > 1_000_000);
}

#[test]
fn a_pipe_takes_64_kib_and_memory_only_as_needed() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    let allocated = |writer: &Writer| writer.0.state.lock().buffer.allocated();
    assert_eq!(allocated(&writer), 0);
    for _ in 0..1000 {
        assert_eq!(write(&program, &writer, &[1; PAGE]), Ok(PAGE));
        assert_eq!(read(&program, &reader, PAGE).unwrap().len(), PAGE);
    }
    assert_eq!(allocated(&writer), PAGE);
    // More than fits: what fits goes in.
    let mut from = program.buffer(0, 100_000);
    assert_eq!(now(writer.write(&mut from, Wait::Never)), Ok(CAPACITY));
    assert_eq!(write(&program, &writer, b"x"), Err(Errno::EAGAIN));
    assert_eq!(allocated(&writer), CAPACITY);
    assert_eq!(read(&program, &reader, 100_000).unwrap().len(), CAPACITY);
    assert_eq!(read(&program, &reader, 1), Err(Errno::EAGAIN));
}

#[test]
fn a_small_write_goes_in_whole_or_not_at_all() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    write(&program, &writer, &vec![0; CAPACITY - 100]).unwrap();
    assert_eq!(write(&program, &writer, &[1; 101]), Err(Errno::EAGAIN));
    assert_eq!(write(&program, &writer, &[2; 100]), Ok(100));
    read(&program, &reader, CAPACITY).unwrap();

    // Across a page that is not there yet, it is asked for a second time.
    let bytes = pattern(0, ATOMIC);
    let start = 40 * PAGE - 17;
    program.holding(start, &bytes[..17]);
    let expected = [&bytes[..17], &[0; ATOMIC - 17]].concat();
    assert_eq!(
        now(writer.write(&mut program.buffer(start, ATOMIC), Wait::Never)),
        Ok(ATOMIC)
    );
    assert_eq!(read(&program, &reader, CAPACITY), Ok(expected));

    // Half of it is not the program's: nothing goes in.
    let mut half = program.running_out(100, 100);
    assert_eq!(
        now(writer.write(&mut half, Wait::Never)),
        Err(Errno::EFAULT)
    );
    assert_eq!(reader.pipe().readable(), 0);
}

#[test]
fn a_large_write_counts_up_to_the_bad_address() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    let mut from = program.running_out(3 * PAGE, PAGE);
    assert_eq!(now(writer.write(&mut from, Wait::Never)), Ok(3 * PAGE));
    assert_eq!(reader.pipe().readable(), 3 * PAGE);
}

#[test]
fn what_a_reader_has_no_place_for_stays() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    write(&program, &writer, &pattern(0, 5000)).unwrap();
    let mut to = program.running_out(100, PAGE);
    assert_eq!(now(reader.read(&mut to, Wait::Never)), Ok(100));
    let mut nowhere = program.running_out(0, PAGE);
    assert_eq!(
        now(reader.read(&mut nowhere, Wait::Never)),
        Err(Errno::EFAULT)
    );
    assert_eq!(read(&program, &reader, 9000), Ok(pattern(100, 4900)));
}

#[test]
fn the_end_of_a_pipe_shows_on_the_other_side() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    write(&program, &writer, b"last").unwrap();
    assert_eq!(reader.ready(), abi::POLLIN | abi::POLLRDNORM);
    drop(writer);
    assert_eq!(reader.ready(), abi::POLLIN | abi::POLLRDNORM | abi::POLLHUP);
    assert_eq!(read(&program, &reader, 9), Ok(b"last".to_vec()));
    assert_eq!(read(&program, &reader, 9), Ok(Vec::new()));

    let (reader, writer) = pipe().unwrap();
    drop(reader);
    assert_eq!(write(&program, &writer, b"x"), Err(Errno::EPIPE));
    assert_eq!(writer.ready() & abi::POLLERR, abi::POLLERR);
    // But a write of nothing is none.
    assert_eq!(write(&program, &writer, b""), Ok(0));
}

#[test]
fn a_waiting_reader_is_woken_once() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    let (wakes, waker) = wakes();
    let mut context = Context::from_waker(&waker);
    let mut to = program.buffer(64 * 1024, 100);
    let mut reading = pin!(reader.read(&mut to, WAIT));
    assert!(reading.as_mut().poll(&mut context).is_pending());
    write(&program, &writer, b"one").unwrap();
    write(&program, &writer, b"two").unwrap();
    assert_eq!(wakes.taken(), 1);
    assert_eq!(reading.poll(&mut context), Poll::Ready(Ok(6)));
    assert_eq!(wakes.taken(), 0);
}

#[test]
fn a_waiting_writer_is_woken_once_there_is_room() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    write(&program, &writer, &vec![0; CAPACITY]).unwrap();
    let (wakes, waker) = wakes();
    let mut context = Context::from_waker(&waker);
    let mut from = program.buffer(0, ATOMIC);
    let mut writing = pin!(writer.write(&mut from, WAIT));
    assert!(writing.as_mut().poll(&mut context).is_pending());
    read(&program, &reader, ATOMIC - 1).unwrap();
    assert_eq!(wakes.taken(), 0);
    read(&program, &reader, 1).unwrap();
    read(&program, &reader, 1).unwrap();
    assert_eq!(wakes.taken(), 1);
    assert_eq!(writing.poll(&mut context), Poll::Ready(Ok(ATOMIC)));
}

#[test]
fn a_large_write_waits_for_its_reader_again_and_again() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut from = program.buffer(0, 200_000);
    let mut writing = pin!(writer.write(&mut from, WAIT));
    let mut seen = 0;
    loop {
        match writing.as_mut().poll(&mut context) {
            Poll::Ready(result) => {
                assert_eq!(result, Ok(200_000));
                break;
            }
            Poll::Pending => seen += read(&program, &reader, 10_000).unwrap().len(),
        }
    }
    while let Ok(bytes) = read(&program, &reader, 10_000) {
        seen += bytes.len();
    }
    assert_eq!(seen, 200_000);
}

#[test]
fn several_readers_share_what_comes() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    let (wakes, waker) = wakes();
    let mut context = Context::from_waker(&waker);
    let mut buffers = [0, 1, 2].map(|n| program.buffer(n * PAGE, 2));
    let [one, two, three] = &mut buffers;
    let mut one = pin!(reader.read(one, WAIT));
    let mut two = pin!(reader.read(two, WAIT));
    let mut three = alloc::boxed::Box::pin(reader.read(three, WAIT));
    assert!(one.as_mut().poll(&mut context).is_pending());
    assert!(three.as_mut().poll(&mut context).is_pending());
    assert!(two.as_mut().poll(&mut context).is_pending());
    // One write, one wake-up; a reader that leaves bytes wakes the next.
    let mut from = program.holding(5 * PAGE, b"abcd");
    assert_eq!(now(writer.write(&mut from, Wait::Never)), Ok(4));
    assert_eq!(wakes.taken(), 1);
    assert_eq!(one.poll(&mut context), Poll::Ready(Ok(2)));
    assert_eq!(wakes.taken(), 1);
    // The one that was chosen goes away: the wake-up goes to the other.
    drop(three);
    assert_eq!(wakes.taken(), 1);
    assert_eq!(two.poll(&mut context), Poll::Ready(Ok(2)));
}

#[test]
fn closing_wakes_those_who_wait_in_vain() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut to = program.buffer(0, 1);
    let mut reading = pin!(reader.read(&mut to, WAIT));
    assert!(reading.as_mut().poll(&mut context).is_pending());
    drop(writer);
    assert_eq!(reading.poll(&mut context), Poll::Ready(Ok(0)));

    let (reader, writer) = pipe().unwrap();
    write(&program, &writer, &vec![0; CAPACITY]).unwrap();
    let mut from = program.buffer(0, 1);
    let mut writing = pin!(writer.write(&mut from, WAIT));
    assert!(writing.as_mut().poll(&mut context).is_pending());
    drop(reader);
    assert_eq!(writing.poll(&mut context), Poll::Ready(Err(Errno::EPIPE)));
}

#[test]
fn polling_takes_no_wake_up_from_a_reader() {
    let program = Program::start();
    let (reader, writer) = pipe().unwrap();
    let (wakes, waker) = wakes();
    let mut context = Context::from_waker(&waker);
    let mut polling = pin!(
        reader
            .pipe()
            .polls()
            .wait_until(|| (reader.ready() & abi::POLLIN != 0).then_some(()))
    );
    let mut to = program.buffer(64 * 1024, 1);
    let mut reading = pin!(reader.read(&mut to, WAIT));
    assert!(polling.as_mut().poll(&mut context).is_pending());
    assert!(reading.as_mut().poll(&mut context).is_pending());
    write(&program, &writer, b"x").unwrap();
    assert_eq!(wakes.taken(), 2);
    assert_eq!(polling.poll(&mut context), Poll::Ready(()));
    assert_eq!(reading.poll(&mut context), Poll::Ready(Ok(1)));
}
