"""Emulated links and compute pace. Knows bytes and seconds, nothing of learning."""
