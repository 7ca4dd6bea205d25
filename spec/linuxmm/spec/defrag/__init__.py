"""Defragmentation: lumpy reclaim, compaction and the migration of pages.

Where a source says 3.0.101+, it is a phone vendor's tree of that release with later patches in it.
"""
