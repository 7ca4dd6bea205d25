"""Theorems about the debugging tools: shadows, poison, fault attributes, and the scan for leaks."""
