//! Reading policies, keeping receipts, printing them, and what hostile text may not do on the way.

mod calibrated;
mod injection;
mod judged;
mod looked;
mod planned;
mod policies;
mod printed;
mod receipts;
mod replayed;
mod sample;
mod simulated;
