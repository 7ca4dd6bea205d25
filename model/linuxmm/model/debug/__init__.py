"""Detectors: functions from a history of allocations and accesses to the reports of one debugging tool."""
