"""Kinds of spans, and iterators that remember."""
