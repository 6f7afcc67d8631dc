//! A core's memory for bytes in passing: one scratch buffer for all of its connections, and spare buffers for those whose other
//! side does not take bytes as fast as they come.

use std::cell::{RefCell, RefMut};

/// Bytes moved at once; smaller buffers cost a relay a third of its throughput.
const SIZE: usize = 64 << 10;
/// Spare buffers kept; more are freed.
const SPARE: usize = 16;

/// The buffers of one core.
#[derive(Debug)]
pub(crate) struct Buffers {
    scratch: RefCell<Box<[u8]>>,
    spare: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self {
            scratch: RefCell::new(vec![0; SIZE].into_boxed_slice()),
            spare: RefCell::default(),
        }
    }

    /// The scratch buffer; it must be let go before anything is awaited.
    pub(crate) fn scratch(&self) -> RefMut<'_, Box<[u8]>> {
        self.scratch.borrow_mut()
    }

    /// An empty buffer.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps a buffer for the next who needs one.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE {
            buffer.clear();
            spare.push(buffer);
        }
    }
}
