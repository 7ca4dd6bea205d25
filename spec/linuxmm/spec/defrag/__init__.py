"""Defragmentation: lumpy reclaim, compaction and the migration of pages."""
