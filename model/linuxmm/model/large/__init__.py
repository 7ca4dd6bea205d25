"""vmalloc and CMA as pure state transitions."""
