//! Measures the program beside a bare HTTP loop.

fn main() {}
