"""Theorems about vmalloc and CMA."""
