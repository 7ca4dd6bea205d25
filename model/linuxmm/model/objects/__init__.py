"""Object allocators as pure state transitions: SLUB, SLAB and SLOB (F032, F033, F034)."""
