//! Texts compared without a model.
