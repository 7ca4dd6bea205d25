"""The page allocator as pure state transitions.

The algorithms are plain functions over the primitives of `freelist`, composed by the `rules` of a kernel
profile; `linuxmm.fast` compiles the same functions over flat arrays.
"""
