"""The compiled execution path: flat arrays, Numba, the same formulas as the model."""
