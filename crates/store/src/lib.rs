//! The journal of a run, in SQLite.
