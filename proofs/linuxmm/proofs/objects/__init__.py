"""Theorems about object allocators: links of free objects, layouts, counts, heaps of blocks."""
