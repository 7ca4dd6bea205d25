"""The compiled execution path: the model's own functions over flat arrays, and the workload readers.

`arena` replaces the model's primitives, `link` compiles the algorithms of `linuxmm.model` with them, and
`allocator` runs batches of operations.  `trace_text` parses ftrace text.  Nothing here states a rule of
memory management.
"""
