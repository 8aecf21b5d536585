//! Requests to valgrind's tool memcheck, made with the instruction sequences that the header
//! `memcheck.h` defines. If the program does not run under valgrind, the requests do nothing.

/// Returns whether the program runs under valgrind.
pub(crate) fn runs() -> bool {
    request(0x1001, 0, 0) != 0
}

/// Returns the number of times that memcheck has found a branch or an address that depends on
/// undefined bytes.
pub(crate) fn reports() -> usize {
    request(0x1201, 0, 0)
}

/// Marks the bytes as undefined. memcheck then reports each branch that depends on these bytes, or
/// on a value computed from them.
pub(crate) fn mark_secret(bytes: &[u8]) {
    request(0x4d43_0001, bytes.as_ptr().addr(), bytes.len());
}

/// Returns a copy of the value, marked as defined. memcheck reports no branch that depends on the
/// copy.
pub(crate) fn publish<T: Copy>(value: T) -> T {
    let value = core::hint::black_box(value);
    request(0x4d43_0002, (&raw const value).addr(), size_of::<T>());
    core::hint::black_box(value)
}

/// Runs `work` with the reports of memcheck turned off. Undefined bytes stay undefined.
pub(crate) fn unwatched<T>(work: impl FnOnce() -> T) -> T {
    request(0x1801, 1, 0);
    let done = work();
    request(0x1801, usize::MAX, 0);
    done
}

#[cfg(target_arch = "x86_64")]
fn request(code: usize, first: usize, second: usize) -> usize {
    let request = [code, first, second, 0, 0, 0];
    let mut answer = 0;
    // SAFETY: the four rotations add up to 128 bits and leave rdi unchanged, and rbx is exchanged
    // with itself. Under valgrind, the sequence reads `request` and sets rdx. It writes to no
    // memory of the program.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") request.as_ptr(), inout("rdx") answer,
            options(nostack),
        );
    }
    answer
}

#[cfg(not(target_arch = "x86_64"))]
fn request(_code: usize, _first: usize, _second: usize) -> usize {
    eprintln!("constant-time: requests to valgrind are written for x86_64 only; nothing was checked here");
    std::process::exit(3)
}
