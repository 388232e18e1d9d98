//! Connections become chat models.
