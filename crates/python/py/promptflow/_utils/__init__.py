"""Bits that people import although they are promptflow's own."""
