//! Python nodes: their tools, what goes into them and comes out, and what their code asks.
//!
//! ```text
//! load_tools ──► NodeTool (pool, signature, literals)          World: files, connections, prompties, flows (the door's)
//!                   │ call                                        ▲
//! nodes/python ─────┴──► worker ── asks, prints, traces ──► NodeHost ──► answers: chat, prompty, flow, render, …
//!                   │                                             └────► Calls: spans, the journal, streams
//!                   └─ objects: properties, generators, what was lost
//! ```

mod answers;
mod failure;
mod fields;
mod host;
mod inner_run;
mod line;
mod literals;
mod objects;
mod side;
mod tools;
mod trouble;
mod world;

pub use side::PythonSide;
pub use tools::load_tools;
pub use world::{Asked, FlowAsked, NoConnection, Place, World};

pub(crate) use failure::attempt_failure;
pub(crate) use host::NodeHost;
pub(crate) use line::Line;
pub(crate) use objects::{localized, product};
pub(crate) use tools::NodeTool;
pub(crate) use trouble::LoadTrouble;
