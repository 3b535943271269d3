"""Secure aggregation as two pure state machines (Bonawitz et al., CCS 2017, eprint 2017/281)."""
