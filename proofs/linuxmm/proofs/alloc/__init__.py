"""Theorems about the page allocator, over any memory size unless a theorem says otherwise."""
