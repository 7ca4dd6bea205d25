"""Theorems about memory control groups."""
