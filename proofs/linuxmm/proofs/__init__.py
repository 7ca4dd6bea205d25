"""The proofs: formulas and steps of linuxmm, the same functions that run, proved over symbolic values."""
