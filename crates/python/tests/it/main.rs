//! Workers with a real Python.

#![cfg(unix)]

mod asking;
mod behind;
mod concurrency;
mod death;
mod failures;
mod handles;
mod loading;
mod output;
mod stand_in;
mod support;
mod values;
