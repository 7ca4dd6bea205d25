"""Measurements against C twins and against the pure model: `python -m benchmarks`."""
