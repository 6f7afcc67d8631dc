//! Virtual time: what is due, in the order of its moment and, at one moment, of its entry.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use topologies::time::Time;

/// What is due when.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    heap: BinaryHeap<Entry<T>>,
    entries: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Time,
    place: u64,
    due: T,
}

impl<T> Agenda<T> {
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            entries: 0,
        }
    }

    pub(super) fn enter(&mut self, at: Time, due: T) {
        self.entries += 1;
        self.heap.push(Entry {
            at,
            place: self.entries,
            due,
        });
    }

    pub(super) fn next(&mut self) -> Option<(Time, T)> {
        self.heap.pop().map(|entry| (entry.at, entry.due))
    }
}

impl<T> Entry<T> {
    fn key(&self) -> (Time, u64) {
        (self.at, self.place)
    }
}

/// The earliest is the greatest, for the heap gives the greatest first.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

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
