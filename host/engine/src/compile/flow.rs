//! What can run before what within one block.

use std::cell::OnceCell;

use crate::graph::Jump;

/// The steps of a block as a graph of their own: by their places in the block, with its end as one more place.
pub(super) struct Flow {
    /// For each step where it may lead.
    ways: Vec<Vec<usize>>,
    /// For each step what can be reached from it, in one or more jumps; computed when it is asked for.
    after: Vec<OnceCell<Vec<bool>>>,
    /// For each step what can be reached from the start without passing it.
    around: Vec<OnceCell<Vec<bool>>>,
    reached: Vec<bool>,
}

impl Flow {
    /// `place` says where in the block a step stands.
    pub(super) fn new(ways: &[Vec<Jump>], place: impl Fn(usize) -> usize) -> Self {
        let end = ways.len();
        let index = |jump: &Jump| match jump {
            Jump::To(step) => place(*step),
            Jump::End => end,
        };
        let ways: Vec<Vec<usize>> = ways
            .iter()
            .map(|ways| {
                let mut ways: Vec<usize> = ways.iter().map(index).collect();
                ways.sort_unstable();
                ways.dedup();
                ways
            })
            .collect();
        let cells = || (0..end).map(|_| OnceCell::new()).collect();
        let reached = spread(&ways, [0], None);
        Self { after: cells(), around: cells(), reached, ways }
    }

    /// The place that stands for the end of the block.
    pub(super) fn end(&self) -> usize {
        self.ways.len()
    }

    /// Whether anything leads to `step`.
    pub(super) fn is_reached(&self, step: usize) -> bool {
        self.reached[step]
    }

    /// Whether `first` can have run when `then` is reached.
    pub(super) fn can_precede(&self, first: usize, then: usize) -> bool {
        self.reached[first] && self.after(first)[then]
    }

    /// Whether `then` cannot be reached without `first`.
    pub(super) fn always_precedes(&self, first: usize, then: usize) -> bool {
        first != then && !self.around(first)[then]
    }

    fn after(&self, step: usize) -> &[bool] {
        self.after[step].get_or_init(|| spread(&self.ways, self.ways[step].iter().copied(), None))
    }

    fn around(&self, step: usize) -> &[bool] {
        self.around[step].get_or_init(|| spread(&self.ways, [0], Some(step)))
    }
}

/// What can be reached from `starts`, those included, without passing `closed`.
fn spread(ways: &[Vec<usize>], starts: impl IntoIterator<Item = usize>, closed: Option<usize>) -> Vec<bool> {
    let mut reached = vec![false; ways.len() + 1];
    let mut ahead: Vec<usize> = starts.into_iter().collect();
    while let Some(place) = ahead.pop() {
        if Some(place) == closed || reached[place] {
            continue;
        }
        reached[place] = true;
        ahead.extend(ways.get(place).into_iter().flatten());
    }
    reached
}
