"""The specification: vocabulary, formulas, abstract states, refusals, invariants, relations.

Imports nothing of linuxmm outside this package; everything else reads it.
"""
