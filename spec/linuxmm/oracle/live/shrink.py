"""Make a run that diverges as short as can be: fewer calls, made anew in fresh processes."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from linuxmm.oracle.live.run import Divergence
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.vm.system_calls import SystemCall

Again = Callable[[Sequence[SystemCall]], Divergence | None]
"""Makes calls in a fresh process; where they diverge, or None."""
SECONDS: Final = 120.0


def shrink(found: Divergence, again: Again, seconds: float = SECONDS) -> Divergence:
    """A shorter run that breaks the same clause; `found` itself when it does not repeat.

    seconds  stop looking for a shorter one when they are over
    Ensures  unless time ran out, no single call can be left out
    """
    end = time.monotonic() + seconds
    best = _same(found, found.calls, again)
    if best is None:
        return found
    size = max(len(best.calls) // 2, 1)
    while size and time.monotonic() < end:
        at, progress = 0, False
        while at < len(best.calls) - 1 and time.monotonic() < end:
            last = len(best.calls) - 1
            fewer = best.calls[:at] + best.calls[min(at + size, last) :]
            shorter = _same(found, fewer, again)
            if shorter is not None and len(shorter.calls) < len(best.calls):
                best, progress = shorter, True
            else:
                at += size
        if size == 1 and not progress:
            break
        size = max(size // 2, 1)
    return best


def _same(found: Divergence, calls: Sequence[SystemCall], again: Again) -> Divergence | None:
    """What the calls come to, if they break the same clause."""
    try:
        other = again(calls)
    except LinuxmmError:
        return None
    if other is None or other.refusal.clause != found.refusal.clause:
        return None
    return other
