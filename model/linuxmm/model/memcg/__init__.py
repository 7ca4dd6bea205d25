"""Memory control groups as pure state transitions: charging, reclaim by group, limits, removal (F060)."""
