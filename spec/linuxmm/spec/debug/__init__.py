"""Debugging tools: histories of use and misuse, and the rules by which each tool detects the latter."""
