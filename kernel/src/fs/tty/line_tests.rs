use super::super::settings::Mode;
use super::*;
use alloc::vec::Vec;

fn line() -> Line {
    Line::new(Settings::new(Mode::Interactive))
}

/// Types the bytes and returns what is printed.
fn typed(line: &mut Line, bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|&byte| line.input(byte).echo().to_vec())
        .collect()
}

/// One read of up to `max` bytes; `None` if it would wait.
fn read(line: &mut Line, max: usize) -> Option<Vec<u8>> {
    let mut bytes = alloc::vec![0; max];
    let minimum = line.settings().minimum();
    match line.read(&mut bytes.as_mut_slice(), max, 0, minimum) {
        LineRead::Done(n) => Some(bytes[..n].to_vec()),
        LineRead::Empty => None,
        LineRead::NotReady(_) => panic!("there was room"),
    }
}

fn raw(minimum: u8) -> Settings {
    let mut termios = Settings::new(Mode::Interactive).termios();
    termios.c_lflag &= !(abi::ICANON | abi::ECHO | abi::ISIG);
    termios.c_iflag &= !abi::ICRNL;
    termios.c_cc[abi::VMIN as usize] = minimum;
    Settings::from_termios(termios)
}

#[test]
fn a_line_can_be_read_when_it_is_ended() {
    let mut line = line();
    assert_eq!(typed(&mut line, b"ab"), b"ab");
    assert_eq!(read(&mut line, 10), None);
    assert!(!line.is_ready());
    assert!(line.input(b'\r').readable);
    assert_eq!(line.readable(), 3);
    assert_eq!(read(&mut line, 10), Some(b"ab\n".to_vec()));
    assert_eq!(read(&mut line, 10), None);
}

#[test]
fn a_read_gets_one_line_or_a_part_of_it() {
    let mut line = line();
    typed(&mut line, b"one\ntwo\n");
    assert_eq!(read(&mut line, 2), Some(b"on".to_vec()));
    assert_eq!(read(&mut line, 100), Some(b"e\n".to_vec()));
    assert_eq!(read(&mut line, 100), Some(b"two\n".to_vec()));
}

#[test]
fn editing_takes_characters_words_and_lines_back() {
    let mut line = line();
    assert_eq!(typed(&mut line, b"ax\x7f"), b"ax\x08 \x08");
    typed(&mut line, b"y\x08b\n");
    assert_eq!(read(&mut line, 100), Some(b"ab\n".to_vec()));
    typed(&mut line, b"keep these  \x17\x17this\n");
    assert_eq!(read(&mut line, 100), Some(b"this\n".to_vec()));
    typed(&mut line, b"one two  \x17three\n");
    assert_eq!(read(&mut line, 100), Some(b"one three\n".to_vec()));
    assert_eq!(typed(&mut line, b"no\x15"), b"no\x08 \x08\x08 \x08");
    assert_eq!(typed(&mut line, b"\x7f"), b"");
    typed(&mut line, "é\x7f\n".as_bytes());
    assert_eq!(read(&mut line, 100), Some(b"\n".to_vec()));
}

#[test]
fn editing_stops_at_the_line_before() {
    let mut line = line();
    typed(&mut line, b"done\n\x7f\x15\x17x\n");
    assert_eq!(read(&mut line, 100), Some(b"done\n".to_vec()));
    assert_eq!(read(&mut line, 100), Some(b"x\n".to_vec()));
}

#[test]
fn end_of_file_is_an_empty_read_or_ends_a_part_of_a_line() {
    let mut line = line();
    typed(&mut line, b"\x04");
    assert_eq!(line.readable(), 0);
    assert!(line.is_ready());
    assert_eq!(read(&mut line, 10), Some(b"".to_vec()));
    assert_eq!(read(&mut line, 10), None);
    typed(&mut line, b"part\x04");
    // The buffer is just full: the mark goes with the last byte all the same.
    assert_eq!(read(&mut line, 4), Some(b"part".to_vec()));
    assert_eq!(read(&mut line, 10), None);
    // A null that was typed is a byte like others.
    typed(&mut line, b"a\0b\n");
    assert_eq!(read(&mut line, 10), Some(b"a\0b\n".to_vec()));
}

#[test]
fn signals_are_sent_and_forget_the_line() {
    let mut line = line();
    typed(&mut line, b"half");
    let effect = line.input(3);
    assert_eq!(effect.signal, Some(TerminalSignal::Interrupt));
    assert_eq!(effect.echo(), b"^C");
    assert_eq!(line.input(0x1c).signal, Some(TerminalSignal::Quit));
    typed(&mut line, b"x\n");
    assert_eq!(read(&mut line, 10), Some(b"x\n".to_vec()));
    // Quoted, and with signals off, it is an ordinary byte.
    typed(&mut line, b"\x16\x03\n");
    assert_eq!(read(&mut line, 10), Some(b"\x03\n".to_vec()));
    line.set_settings(raw(1));
    assert_eq!(line.input(3).signal, None);
    assert_eq!(read(&mut line, 10), Some(b"\x03".to_vec()));
}

#[test]
fn raw_input_is_neither_edited_nor_echoed() {
    let mut line = line();
    typed(&mut line, b"unfinished");
    line.set_settings(raw(3));
    assert_eq!(read(&mut line, 100), Some(b"unfinished".to_vec()));
    assert_eq!(typed(&mut line, b"\r\x7f"), b"");
    assert_eq!(read(&mut line, 100), None);
    // Fewer than VMIN are enough if the read does not ask for more.
    assert_eq!(read(&mut line, 1), Some(b"\r".to_vec()));
    typed(&mut line, b"\x15\x04");
    assert_eq!(read(&mut line, 100), Some(b"\x7f\x15\x04".to_vec()));
    line.set_settings(raw(0));
    assert_eq!(read(&mut line, 100), Some(b"".to_vec()));
}

#[test]
fn a_full_line_takes_nothing_but_its_end() {
    let mut line = line();
    let long = [b'x'; SIZE + 10];
    let echo = typed(&mut line, &long);
    assert_eq!(echo.iter().filter(|&&byte| byte == 7).count(), 11);
    typed(&mut line, b"\n");
    assert_eq!(typed(&mut line, b"\n"), b"\r\n\x07");
    let text = read(&mut line, 2 * SIZE).unwrap();
    assert_eq!((text.len(), text.last()), (SIZE, Some(&b'\n')));
    // And round the end of the ring.
    for _ in 0..3 {
        typed(&mut line, &[b'y'; 3000]);
        typed(&mut line, b"\n");
        assert_eq!(read(&mut line, SIZE).unwrap().len(), 3001);
    }
}

#[test]
fn what_the_reader_cannot_take_yet_is_kept() {
    let mut line = line();
    typed(&mut line, b"abc\x04");
    let mut two = [0; 2];
    assert_eq!(
        line.read(&mut two.as_mut_slice(), 100, 0, 1),
        LineRead::NotReady(2)
    );
    let mut rest = [0; 9];
    assert_eq!(
        line.read(&mut rest.as_mut_slice(), 98, 2, 1),
        LineRead::Done(1)
    );
    assert_eq!((&two, rest[0]), (b"ab", b'c'));
    // The end-of-file went with the last byte.
    assert_eq!(read(&mut line, 10), None);
}

#[test]
fn unchanged_mode_neither_echoes_nor_adds_returns() {
    let mut line = Line::new(Settings::new(Mode::Unchanged));
    assert_eq!(typed(&mut line, b"ab\x7f\r"), b"");
    assert_eq!(read(&mut line, 10), Some(b"a\n".to_vec()));
    assert_eq!(line.settings().newline(), b"\n");
}
