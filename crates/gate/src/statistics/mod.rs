//! Intervals, tests and agreement, by exact definitions.
