//! The store over real files, real processes and real failures.

mod broken;
mod crash;
mod fixture;
mod journal;
mod listing;
mod sample;
