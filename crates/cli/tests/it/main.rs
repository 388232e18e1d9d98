//! The product as its users meet it: the real binary, in a temporary project, against real servers on this machine.

mod architecture;
mod check;
mod commands;
mod docs;
mod endpoints;
mod faults;
mod fixture;
mod import;
mod new;
mod pf;
mod python;
mod resume;
mod samples;
mod secrets;
mod simulate;
mod stand_in_requests;
mod traces;
mod verify;
