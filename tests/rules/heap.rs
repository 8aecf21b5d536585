//! The allocator of this test binary. It counts the allocations of each thread separately, so that
//! concurrent tests do not disturb each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counter;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

fn count(allocations: u64, bytes: i64) {
    ALLOCATIONS.with(|count| count.set(count.get() + allocations));
    LIVE.with(|live| live.set(live.get() + bytes));
}

// SAFETY: every call is passed unchanged to the system's allocator. The counts use only plain
// thread-local cells.
unsafe impl GlobalAlloc for Counter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        unsafe { System.dealloc(place, layout) }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTER: Counter = Counter;

/// Returns the number of allocations that this thread has made.
pub fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Returns the number of bytes that this thread has allocated and not freed.
pub fn live() -> i64 {
    LIVE.with(Cell::get)
}

#[test]
fn live_bytes_are_those_that_are_not_freed() {
    let before = live();
    let mut bytes = Vec::<u8>::with_capacity(1_000);
    assert_eq!(live() - before, 1_000);
    bytes.reserve_exact(3_000);
    assert_eq!(live() - before, 3_000);
    drop(bytes);
    assert_eq!(live() - before, 0);
}
