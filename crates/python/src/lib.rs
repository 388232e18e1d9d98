//! Python tools, run in workers that live as long as a run.
//!
//! A worker is a Python process that serves one flow folder and environment. It loads each tool file once, and keeps what
//! is no JSON: such an object travels as a handle, and whoever is given the handle back in Python gets the very object.
//! Worker and host speak over a channel of their own (length, JSON), both ways and many calls at once, so that whatever a
//! tool prints disturbs nobody; see `py/sluicegate_worker` for the other end.
//!
//! ```text
//!  Pools ──folder, variables──► Pool ──schedule──► Worker ──channel──► python: sluicegate_worker, promptflow (stand-in)
//!                                 │                   ▲ │
//!                  load, call, drain, property        │ └─ said, chunk, span, metric, ask ──► trait Host
//!                                                     └─ dies, is killed (with its process group), is replaced
//! ```
//!
//! A worker runs one synchronous call at a time; one that waits for the host does not count, so that a flow which calls a
//! flow which calls Python cannot lock a pool of one. Calls of a tool that is known to be quick are sent before the one that
//! runs has ended, two at most: otherwise a worker would idle between any two, for as long as a busy host takes to notice.
//! They say when they begin, so that each has its own time and its own blame. Workers end with their host, also when that is killed.
//!
//! Nothing here reads the process environment, knows a flow, or decides what to do about an error.

mod argument;
mod channel;
mod embedded;
mod error;
mod host;
mod inbox;
mod interpreter;
mod members;
mod pace;
mod pool;
mod pools;
mod process;
mod request;
mod schedule;
mod shim;
mod stand_in;
mod stderr;
mod tool;
mod watch;
mod wire;
mod worker;

pub use argument::{Argument, ConnectionObject, StrongType};
pub use error::{HowDied, PythonError, Raised};
pub use host::{Ask, Host, HostError, NoHost, Pieces, Stream};
pub use interpreter::{Interpreter, NamedBy, NoInterpreter, OLDEST, Search};
pub use pool::{Pool, PythonFacts};
pub use pools::{Pools, Settings};
pub use shim::ShimMemory;
pub use stand_in::StandIn;
pub use stderr::Listener;
pub use tool::{
    EntryMethod, LineId, Parameter, ParameterType, PropertyStep, Provider, Tool, ToolCall, ToolKind, ToolSource,
};
