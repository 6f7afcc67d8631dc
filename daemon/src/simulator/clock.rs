//! Virtual time: what is due, in the order of its moment and, at one moment, of its entry.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use topologies::time::Time;

/// What is due when. The heap orders places only: what is due is large and is moved once in and once out.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    heap: BinaryHeap<Reverse<(Time, u64, usize)>>,
    entries: u64,
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Agenda<T> {
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            entries: 0,
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn enter(&mut self, at: Time, due: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(due);
        self.entries += 1;
        self.heap.push(Reverse((at, self.entries, slot)));
    }

    pub(super) fn next(&mut self) -> Option<(Time, T)> {
        let Reverse((at, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        let due = self.slots[slot]
            .take()
            .expect("a slot is full until its entry is taken");
        Some((at, due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_of_one_moment_the_first_entered() {
        let mut agenda = Agenda::new();
        for (millis, due) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd'), (4, 'e')] {
            agenda.enter(Time::from_millis(millis), due);
        }
        let order: Vec<char> = std::iter::from_fn(|| agenda.next())
            .map(|(_, due)| due)
            .collect();
        assert_eq!(order, ['b', 'd', 'e', 'a', 'c']);
    }
}
