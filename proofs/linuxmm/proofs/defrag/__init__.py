"""Theorems about defragmentation."""
