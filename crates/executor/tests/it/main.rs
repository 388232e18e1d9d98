//! The executor as a whole: flows in strings, scripted models, a journal in memory.

mod faults;
mod flows;
mod resume;
mod support;
mod twins;
