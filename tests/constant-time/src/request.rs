//! Requests to valgrind's memcheck, by the instructions that its header `memcheck.h` defines. Elsewhere they do nothing.

/// Whether valgrind runs the program.
pub(crate) fn runs() -> bool {
    request(0x1001, 0, 0) != 0
}

/// How many times memcheck has found a branch, or an address, that depends on undefined bytes.
pub(crate) fn reports() -> usize {
    request(0x1201, 0, 0)
}

/// Has memcheck treat the bytes as undefined: what is computed from them is undefined too, and a branch on it is reported.
pub(crate) fn mark_secret(bytes: &[u8]) {
    request(0x4d43_0001, bytes.as_ptr().addr(), bytes.len());
}

/// The value, which may be known from here on.
pub(crate) fn publish<T: Copy>(value: T) -> T {
    let value = core::hint::black_box(value);
    request(0x4d43_0002, (&raw const value).addr(), size_of::<T>());
    core::hint::black_box(value)
}

/// Runs `work` without reports. What is undefined stays so.
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
    // SAFETY: four rotations by 128 bits in all leave rdi as it was, and rbx is exchanged with itself. Under valgrind
    // the sequence reads `request` and sets rdx; it writes to no memory of the program.
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
