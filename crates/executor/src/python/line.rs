//! The objects of one line: they live in workers until it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sluicegate_python::LineId;

use super::side::PythonSide;

/// Whose objects in workers belong together. Dropped, it lets go of them.
pub(crate) struct Line {
    id: LineId,
    side: Option<Arc<PythonSide>>,
}

impl Line {
    pub(crate) fn new(side: Option<Arc<PythonSide>>) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self { id: LineId(LAST.fetch_add(1, Ordering::Relaxed) + 1), side }
    }

    pub(crate) fn id(&self) -> LineId {
        self.id
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(side) = &self.side {
            side.end_line(self.id);
        }
    }
}
