//! A verdict on scores: statistics, rules, the receipt, and what people and machines read of it.

pub mod statistics;
