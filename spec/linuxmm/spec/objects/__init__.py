"""Object allocators: kmalloc's size classes, SLAB, SLUB and SLOB (F032, F033, F034)."""
