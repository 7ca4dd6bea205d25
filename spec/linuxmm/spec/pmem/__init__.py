"""Persistent memory: files that are mapped without a page cache (F074)."""
