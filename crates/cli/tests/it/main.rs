//! The product as its users meet it: the real binary, in a temporary project, against real servers on this machine.

mod architecture;
