//! Where each step stands: indices for steps and blocks, in the order they were written.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    definition::{Definition, StepDefinition, StepKind},
    graph::{Block, BlockIx, StepIx},
};

/// Every step and every block of a definition.
pub(super) struct Layout<'d> {
    pub(super) steps: Vec<Placed<'d>>,
    pub(super) blocks: Vec<Block>,
    /// For each block the parallel or loop step that it is a part of.
    pub(super) parents: Vec<Option<StepIx>>,
    pub(super) by_id: BTreeMap<Arc<str>, StepIx>,
}

/// A step and its place.
pub(super) struct Placed<'d> {
    pub(super) definition: &'d StepDefinition,
    pub(super) block: BlockIx,
    /// Its place in the block.
    pub(super) index: usize,
    /// The next step of the block.
    pub(super) following: Option<StepIx>,
    /// The blocks within it.
    pub(super) inner: Vec<BlockIx>,
}

impl<'d> Layout<'d> {
    pub(super) fn of(definition: &'d Definition) -> Self {
        let mut layout = Self { steps: Vec::new(), blocks: Vec::new(), parents: Vec::new(), by_id: BTreeMap::new() };
        layout.block(&definition.steps, None);
        layout
    }

    fn block(&mut self, definitions: &'d [StepDefinition], parent: Option<StepIx>) -> BlockIx {
        let block = self.blocks.len();
        self.blocks.push(Block { steps: Vec::new() });
        self.parents.push(parent);
        let mut steps: Vec<StepIx> = Vec::new();
        for definition in definitions {
            let step = self.steps.len();
            let index = steps.len();
            self.steps.push(Placed { definition, block, index, following: None, inner: Vec::new() });
            if let Some(before) = steps.last() {
                self.steps[*before].following = Some(step);
            }
            steps.push(step);
            if !definition.id.is_empty() {
                self.by_id.entry(Arc::clone(&definition.id)).or_insert(step);
            }
            self.steps[step].inner = self.inner(definition, step);
        }
        self.blocks[block].steps = steps;
        block
    }

    fn inner(&mut self, definition: &'d StepDefinition, step: StepIx) -> Vec<BlockIx> {
        match &definition.kind {
            Some(StepKind::Parallel { branches, .. }) => {
                branches.iter().map(|branch| self.block(branch, Some(step))).collect()
            }
            Some(StepKind::Loop { steps, .. }) => vec![self.block(steps, Some(step))],
            Some(
                StepKind::Tool { .. } | StepKind::Agent { .. } | StepKind::Condition { .. } | StepKind::Human { .. },
            )
            | None => Vec::new(),
        }
    }

    /// The steps whose ids may be meant by `name`.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(|id| &**id)
    }
}
