"""Memory control groups: counters, limits, protection and throttling (F060)."""
