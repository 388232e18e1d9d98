//! The flow engine: a flow folder becomes a checked plan.
