"""Exact state out of a stopped guest's memory, one module per area."""
