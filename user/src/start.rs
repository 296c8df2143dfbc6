//! From the kernel's hand-over to `main`.

use core::arch::naked_asm;
use core::ffi::{CStr, c_char};

use crate::sys::process::{self, StringList};

/// Names the program's `main`, a `fn(Arguments) -> i32`.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        // SAFETY: the one function of this name in a program; `start` calls it by this type.
        #[unsafe(no_mangle)]
        fn program_main(arguments: $crate::Arguments) -> i32 {
            $main(arguments)
        }
    };
}

unsafe extern "Rust" {
    /// Made by [`program!`].
    safe fn program_main(arguments: Arguments) -> i32;
}

/// The entry point. The kernel leaves the argument count at the top of the stack, followed by
/// the arguments, the environment and the auxiliary vector (System V ABI, AMD64, 3.4.1).
///
/// # Safety
/// Called by the kernel only, once.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text._start")]
pub unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "xor ebp, ebp",
        "mov rdi, rsp",
        // The stack is aligned to 16 bytes here, and the call pushes the return address that a
        // function expects.
        "call {start}",
        "ud2",
        start = sym start,
    )
}

extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the kernel built this area, and no other reference to it exists.
    let arguments = unsafe { Arguments::from_stack(stack) };
    process::exit(program_main(arguments))
}

/// Arguments, environment and auxiliary vector, as the kernel left them on the stack.
#[derive(Clone, Copy)]
pub struct Arguments {
    count: usize,
    /// `count` strings and a null.
    strings: *const *const c_char,
}

impl Arguments {
    /// # Safety
    /// `stack` points to the area that the kernel built for a new program.
    unsafe fn from_stack(stack: *const usize) -> Self {
        // SAFETY: by the caller's word.
        unsafe {
            Self {
                count: *stack,
                strings: stack.add(1).cast(),
            }
        }
    }

    pub fn len(self) -> usize {
        self.count
    }

    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Argument `index`; 0 is the name that the program was called by.
    pub fn get(self, index: usize) -> Option<&'static CStr> {
        if index >= self.count {
            return None;
        }
        // SAFETY: there are `count` pointers to C strings, and they stay for the program's life.
        Some(unsafe { CStr::from_ptr(*self.strings.add(index)) })
    }

    /// The arguments without the program's name.
    pub fn rest(self) -> impl Iterator<Item = &'static CStr> {
        (1..self.count).filter_map(move |index| self.get(index))
    }

    /// The list from argument `index` on, as `execve` takes it.
    pub fn list_from(self, index: usize) -> StringList<'static> {
        let index = index.min(self.count);
        // SAFETY: within the array: `count` strings and then a null.
        unsafe {
            let pointers =
                core::slice::from_raw_parts(self.strings.add(index), self.count - index + 1);
            StringList::new(pointers)
        }
    }

    fn environment_start(self) -> *const *const c_char {
        // SAFETY: the environment follows the arguments and their null.
        unsafe { self.strings.add(self.count + 1) }
    }

    /// The environment's strings, `NAME=value`.
    pub fn environment(self) -> impl Iterator<Item = &'static CStr> {
        let start = self.environment_start();
        let mut index = 0;
        core::iter::from_fn(move || {
            // SAFETY: up to the null that ends the list each pointer is a C string's.
            let string = unsafe { *start.add(index) };
            if string.is_null() {
                return None;
            }
            index += 1;
            // SAFETY: see above.
            Some(unsafe { CStr::from_ptr(string) })
        })
    }

    /// The environment as `execve` takes it.
    pub fn environment_list(self) -> StringList<'static> {
        let count = self.environment().count();
        // SAFETY: `count` strings and then a null.
        unsafe {
            let pointers = core::slice::from_raw_parts(self.environment_start(), count + 1);
            StringList::new(pointers)
        }
    }

    /// The entry of the auxiliary vector with that tag (`AT_PAGESZ`, ...).
    pub fn auxiliary(self, tag: u32) -> Option<usize> {
        let after_environment = self.environment().count() + 1;
        // SAFETY: the vector follows the environment's null and ends with a tag of zero.
        unsafe {
            let mut entry: *const [usize; 2] =
                self.environment_start().add(after_environment).cast();
            while (*entry)[0] != 0 {
                if (*entry)[0] == tag as usize {
                    return Some((*entry)[1]);
                }
                entry = entry.add(1);
            }
        }
        None
    }
}
