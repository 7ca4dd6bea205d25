"""Exact judgement: predict every choice of a real kernel from its exact state, and compare.

`machine` builds the model's state from a mark of a capture, `engine` runs the compiled model, `replay` turns
observations into operations and compares, `compare` holds two states against each other list for list.
"""
