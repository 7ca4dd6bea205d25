"""Which shipped recordings of real kernels were judged for which features.

The tests judge every one of them: tests/oracle/checker/test_real_captures.py, tests/oracle/exact.
"""

from typing import Final

from linuxmm.spec.registry import register_evidence

JUDGED: Final[dict[str, tuple[str, ...]]] = {
    "alloc-churn-6.1": ("F001", "F003", "F012", "F013", "F014", "F016", "F017", "F020", "F027"),
    "alloc-churn-6.12": ("F001", "F003", "F012", "F013", "F014", "F016", "F017", "F020", "F027"),
}
"""Capture under tests/real -> features whose clauses and predictions it exercised."""

for _capture, _features in JUDGED.items():
    for _feature in _features:
        register_evidence(_feature, _capture)
