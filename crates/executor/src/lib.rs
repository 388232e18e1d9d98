//! A plan and inputs become events.
