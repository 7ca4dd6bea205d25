"""The judge by the specification alone: it reads observations and clauses, never the model.

`pages` follows who has which page through a trace; `states` holds a frozen state against what the events
before it imply.
"""
