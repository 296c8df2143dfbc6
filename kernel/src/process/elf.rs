//! The parts of an ELF file that say how to load it (System V ABI, gABI chapters 4 and 5;
//! AMD64 psABI).

use super::exec_error::ExecError;
use crate::memory::{FRAME_SIZE, Object, Protection, USER_END};
use alloc::sync::Arc;
use alloc::vec::Vec;
use elf::abi;
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::segment::{ProgramHeader, SegmentTable};

/// What is to be mapped for a program or its interpreter.
pub(super) struct Image {
    /// The file.
    pub(super) object: Arc<Object>,
    /// Where it starts, before the bias is added.
    pub(super) entry: usize,
    /// Can be loaded anywhere.
    pub(super) is_relocatable: bool,
    /// What to map, in the order of the file.
    pub(super) segments: Vec<Segment>,
    /// The path of the program that shall load this one.
    pub(super) interpreter: Option<Vec<u8>>,
    /// Where the program headers are in memory, before the bias is added, if they are
    /// loaded at all.
    pub(super) headers: Option<usize>,
    /// How many there are.
    pub(super) header_count: usize,
    /// Whether data may not be executed.
    pub(super) stack_executable: bool,
}

/// One `PT_LOAD`, checked: nothing overflows, and it lies in a program's reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) address: usize,
    pub(super) file_offset: u64,
    pub(super) file_size: usize,
    pub(super) memory_size: usize,
    pub(super) protection: Protection,
}

/// Bytes of the ELF header.
const HEADER: usize = 64;
/// Bytes of one program header.
const PROGRAM_HEADER: usize = 56;
/// Linux reads no more than 64 KiB of program headers either.
const MAX_HEADERS: usize = 65536 / PROGRAM_HEADER;

/// Reads and checks a file.
///
/// # Errors
/// `ENOEXEC` for what is not a program for this machine.
pub(super) fn read(object: Arc<Object>) -> Result<Image, ExecError> {
    let start = bytes(&object, 0, HEADER).ok_or(ExecError::NotAProgram)?;
    let ident = parse_ident::<LittleEndian>(&start).map_err(|_| ExecError::NotAProgram)?;
    let header = FileHeader::parse_tail(ident, &start[abi::EI_NIDENT..])
        .map_err(|_| ExecError::NotAProgram)?;
    let is_relocatable = match header.e_type {
        abi::ET_EXEC => false,
        abi::ET_DYN => true,
        _ => return Err(ExecError::NotAProgram),
    };
    let count = usize::from(header.e_phnum);
    let fits = header.class == Class::ELF64
        && header.e_machine == abi::EM_X86_64
        && usize::from(header.e_phentsize) == PROGRAM_HEADER
        && (1..=MAX_HEADERS).contains(&count);
    if !fits {
        return Err(ExecError::NotAProgram);
    }
    let table =
        bytes(&object, header.e_phoff, count * PROGRAM_HEADER).ok_or(ExecError::NotAProgram)?;
    let table = SegmentTable::new(LittleEndian, Class::ELF64, &table);

    let mut image = Image {
        entry: header.e_entry as usize,
        is_relocatable,
        segments: Vec::new(),
        interpreter: None,
        headers: None,
        header_count: count,
        stack_executable: false,
        object,
    };
    for header_of in table.iter() {
        match header_of.p_type {
            abi::PT_LOAD if header_of.p_memsz != 0 => image.segments.push(segment(&header_of)?),
            abi::PT_INTERP => image.interpreter = Some(interpreter(&image.object, &header_of)?),
            abi::PT_GNU_STACK => image.stack_executable = header_of.p_flags & abi::PF_X != 0,
            _ => {}
        }
    }
    if image.segments.is_empty() {
        return Err(ExecError::NotAProgram);
    }
    let at = header.e_phoff;
    let holder = image.segments.iter().find(|segment| {
        at >= segment.file_offset && at - segment.file_offset < segment.file_size as u64
    });
    image.headers = holder.map(|segment| segment.address + (at - segment.file_offset) as usize);
    Ok(image)
}

impl Image {
    /// The lowest page and the end of the highest that it occupies, before the bias is
    /// added.
    pub(super) fn span(&self) -> (usize, usize) {
        let low = self
            .segments
            .iter()
            .map(|s| s.address / FRAME_SIZE * FRAME_SIZE)
            .min();
        let high = self
            .segments
            .iter()
            .map(|s| s.address + s.memory_size)
            .max();
        (
            low.unwrap_or(0),
            high.unwrap_or(0).next_multiple_of(FRAME_SIZE),
        )
    }
}

fn segment(header: &ProgramHeader) -> Result<Segment, ExecError> {
    let mut protection = Protection::empty();
    protection.set(Protection::READ, header.p_flags & abi::PF_R != 0);
    protection.set(Protection::WRITE, header.p_flags & abi::PF_W != 0);
    protection.set(Protection::EXECUTE, header.p_flags & abi::PF_X != 0);
    let page = FRAME_SIZE as u64;
    let end = header.p_vaddr.checked_add(header.p_memsz);
    let file_end = header.p_offset.checked_add(header.p_filesz);
    let sound = header.p_filesz <= header.p_memsz
        && end.is_some_and(|end| end <= USER_END as u64)
        && file_end.is_some_and(|end| end <= i64::MAX as u64)
        && header.p_vaddr % page == header.p_offset % page;
    if !sound {
        return Err(ExecError::BadLayout);
    }
    Ok(Segment {
        address: header.p_vaddr as usize,
        file_offset: header.p_offset,
        file_size: header.p_filesz as usize,
        memory_size: header.p_memsz as usize,
        protection,
    })
}

/// The longest path of an interpreter, as PATH_MAX.
const MAX_PATH: u64 = 4096;

fn interpreter(object: &Object, header: &ProgramHeader) -> Result<Vec<u8>, ExecError> {
    if !(2..=MAX_PATH).contains(&header.p_filesz) {
        return Err(ExecError::NotAProgram);
    }
    let mut path =
        bytes(object, header.p_offset, header.p_filesz as usize).ok_or(ExecError::NotAProgram)?;
    match path.pop() {
        Some(0) => Ok(path),
        _ => Err(ExecError::NotAProgram),
    }
}

/// Exactly these bytes of the file.
fn bytes(object: &Object, offset: u64, length: usize) -> Option<Vec<u8>> {
    let mut buffer = alloc::vec![0; length];
    let read = object.read_at(offset, &mut &mut buffer[..], length);
    (read == length).then_some(buffer)
}
