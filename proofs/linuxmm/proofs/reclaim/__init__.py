"""Theorems about reclaim."""
