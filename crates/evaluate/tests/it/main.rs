//! The text metrics against numbers that other programs computed, and against what must hold for any text.

mod golden;
mod properties;
