//! HTTP for what others call. So far that is the simulated endpoint, [`simulate`].
//!
//! Whoever serves is handed what it cannot make itself: the listening socket, the end of its life as a future, and
//! somebody who hears of each request. It prints nothing and reads no variable of the process.

mod address;
mod listener;
pub mod simulate;
mod socket;

pub use address::{Address, AddressError};
pub use listener::{Listener, Served};
