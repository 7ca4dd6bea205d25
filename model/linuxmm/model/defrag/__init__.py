"""Defragmentation by kernels of every age: compaction, migration, lumpy reclaim."""
