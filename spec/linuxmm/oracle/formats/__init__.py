"""Evidence of what a page allocator did: readers and writers of every form that it comes in."""
