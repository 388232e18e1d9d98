//! What other crates and other versions see of events.

mod before;
