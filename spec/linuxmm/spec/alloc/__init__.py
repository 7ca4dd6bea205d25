"""Page allocator: zones, buddy blocks, migratetypes, watermarks, per-CPU lists, placement policy."""
