"""Adapters: any page allocator, in any language, driven by Hypothesis and judged by the specification.

`allocator` says what an implementation has to offer, `process` speaks the line protocol with a child process,
`machine` drives either and judges every answer.
"""
