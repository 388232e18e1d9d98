//! Rows of data files, one after the other, and how their columns become inputs.
