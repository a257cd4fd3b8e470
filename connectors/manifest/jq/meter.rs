//! What a run of a filter may still use: steps, stack, memory.
//!
//! Values are made by traits of the library that have no room for a context, so the meter of the run stands beside the
//! thread. Memory is counted as it is taken and never given back: what a filter has in its hands at any moment is no
//! more than what it made in all, so the count bounds it. Whatever would take more is refused before the memory is
//! taken; the run ends then, even when the filter catches errors, because every further step fails.

use std::cell::Cell;

/// Stack a run may use, bytes: a quarter of what the smallest thread has.
const MOST_STACK: usize = 512 * 1024;
/// One text is at most this part of what a run may take: natives that change a text (escape, split) make at most six
/// times as much of it before they are asked.
const SHARE_OF_A_TEXT: u64 = 8;

/// A bound that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Too many steps.
    Steps,
    /// Called itself too deeply.
    Stack,
    /// Made too much; the limit, bytes.
    Memory(u64),
}

struct Meter {
    steps: Cell<u64>,
    memory: Cell<u64>,
    limit: Cell<u64>,
    /// Address of something on the stack when the run began; 0 outside a run.
    bottom: Cell<usize>,
    over: Cell<Option<Over>>,
}

thread_local! {
    static METER: Meter = const {
        Meter {
            steps: Cell::new(u64::MAX),
            memory: Cell::new(u64::MAX),
            limit: Cell::new(u64::MAX),
            bottom: Cell::new(0),
            over: Cell::new(None),
        }
    };
}

/// A run that goes on in this thread. When it ends, nothing is metered any more.
#[derive(Debug)]
pub struct Running(());

/// Starts a run of this thread.
pub fn start(steps: u64, memory: u64) -> Running {
    set(steps, memory, here());
    Running(())
}

impl Drop for Running {
    fn drop(&mut self) {
        set(u64::MAX, u64::MAX, 0);
    }
}

fn set(steps: u64, memory: u64, bottom: usize) {
    METER.with(|meter| {
        meter.steps.set(steps);
        meter.memory.set(memory);
        meter.limit.set(memory);
        meter.bottom.set(bottom);
        meter.over.set(None);
    });
}

/// The bound this run has passed.
pub fn over() -> Option<Over> {
    METER.with(|meter| meter.over.get())
}

/// Takes a step and looks how deep the stack is; false when a bound is passed.
pub fn step() -> bool {
    METER.with(|meter| {
        if !meter.take_steps(1) {
            return false;
        }
        let bottom = meter.bottom.get();
        if bottom != 0 && bottom.abs_diff(here()) > MOST_STACK {
            meter.over.set(Some(Over::Stack));
            return false;
        }
        true
    })
}

/// Takes many steps at once.
pub fn steps(count: u64) -> bool {
    METER.with(|meter| meter.take_steps(count))
}

/// Takes memory, bytes; false when there is not so much, or a bound was passed before.
pub fn take(bytes: usize) -> bool {
    METER.with(|meter| meter.take_memory(bytes as u64))
}

/// Takes memory for one text.
pub fn take_text(bytes: usize) -> bool {
    METER.with(|meter| {
        if bytes as u64 > meter.limit.get() / SHARE_OF_A_TEXT {
            return meter.memory_is_over();
        }
        meter.take_memory(bytes as u64)
    })
}

/// Whether a text may become so long.
pub fn has_text_room(bytes: usize) -> bool {
    METER.with(|meter| bytes as u64 <= meter.limit.get() / SHARE_OF_A_TEXT || meter.memory_is_over())
}

/// Ends the run: what it asks for is beyond any limit. Always false.
pub fn too_much() -> bool {
    METER.with(Meter::memory_is_over)
}

/// Whether so much could be taken, for what is given back at once; the run is over when not.
pub fn has_room(bytes: usize) -> bool {
    METER.with(|meter| {
        if meter.over.get().is_some() {
            return false;
        }
        bytes as u64 <= meter.memory.get() || meter.memory_is_over()
    })
}

impl Meter {
    fn take_steps(&self, count: u64) -> bool {
        if self.over.get().is_some() {
            return false;
        }
        match self.steps.get().checked_sub(count) {
            Some(left) => {
                self.steps.set(left);
                true
            }
            None => {
                self.over.set(Some(Over::Steps));
                false
            }
        }
    }

    fn take_memory(&self, bytes: u64) -> bool {
        if self.over.get().is_some() {
            return false;
        }
        match self.memory.get().checked_sub(bytes) {
            Some(left) => {
                self.memory.set(left);
                true
            }
            None => self.memory_is_over(),
        }
    }

    fn memory_is_over(&self) -> bool {
        self.over.set(Some(Over::Memory(self.limit.get())));
        false
    }
}

#[inline(never)]
fn here() -> usize {
    let marker = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&marker)).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over_until_the_run_ends() {
        let running = start(10, 1000);
        assert!(take(400) && has_room(600) && !has_room(601));
        assert!(!take(1) && !step() && !steps(0));
        assert_eq!(over(), Some(Over::Memory(1000)));
        drop(running);
        assert!(over().is_none() && take(usize::MAX / 2) && step());
        let _running = start(10, 1000);
        assert!(!take_text(126));
    }
}
