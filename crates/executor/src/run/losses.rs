//! Objects that were lost with a Python worker: the nodes that made them run again.

use sluicegate_events::{EventKind, NodePath, Outcome};

use super::Run;
use crate::nodes::Lost;
use crate::progress::Gone;

/// How often a node waits for what it needs to be made again. A worker that dies each time is not to be asked for ever.
const MOST_LOSSES: u32 = 3;

impl Run<'_> {
    /// Lets the objects that a node needs be made again, and the node begin after that. `false`: that was done often
    /// enough.
    pub(super) fn make_again(&mut self, path: &NodePath, attempt: u32, lost: &[Lost]) -> bool {
        if !self.progress.admits(path) {
            self.finish(path, attempt, Outcome::Cancelled);
            return true;
        }
        let losses = self.losses.entry(path.clone()).or_default();
        *losses += 1;
        if *losses > MOST_LOSSES {
            return false;
        }
        self.finish(path, attempt, Outcome::Cancelled);
        for Lost { worker, objects } in lost {
            let nodes = self.progress.nodes_to_repeat(Gone::Objects { worker, objects });
            let (worker, objects) = (worker.to_string(), objects.clone());
            self.record_of_run_held_back(EventKind::ObjectsLost { worker, objects, nodes });
        }
        true
    }
}
