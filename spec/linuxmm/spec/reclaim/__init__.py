"""Reclaim: which pages are scanned, which are given back, and how hard the kernel tries."""
