"""Large allocations: vmalloc (contiguous addresses) and CMA (contiguous pages)."""
