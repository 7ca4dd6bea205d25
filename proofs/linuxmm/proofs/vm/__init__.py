"""Theorems about address translation: addresses, entries, walks, tables and TLBs."""
