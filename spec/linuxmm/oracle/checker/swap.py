"""Hold swap of a real kernel against the clauses: /proc/swaps with /proc/meminfo, whose turn a device is.

Linux: mm/swapfile.c:swap_show, get_swap_pages, fs/proc/meminfo.c.  Seed 2.4 (F004).  6.1 to 6.12.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.reclaim.swap import TAKEN, TURN, totals_agree
from linuxmm.spec.verdict import Divergence, Judgement

_TOTAL: Final = "reclaim.swap.total"


def read_swaps(text: str, file: str) -> tuple[tuple[int, int], ...]:
    """Size and use of each device in kilobytes.

    Errors    BadEvidence naming the line
    """
    found = []
    for number, line in enumerate(text.splitlines()[1:], 2):
        words = line.split()
        if len(words) != 5 or not words[2].isdigit() or not words[3].isdigit():
            raise BadEvidence(file, f"expected NAME TYPE SIZE USED PRIORITY: {line!r}", line=number)
        found.append((int(words[2]), int(words[3])))
    return tuple(found)


def read_swap_totals(text: str, file: str) -> tuple[int, int]:
    """SwapTotal and SwapFree of /proc/meminfo in kilobytes.

    Errors    BadEvidence where one is missing
    """
    words = {line.split()[0]: line.split()[1] for line in text.splitlines() if len(line.split()) >= 2}
    try:
        return int(words["SwapTotal:"]), int(words["SwapFree:"])
    except (KeyError, ValueError) as error:
        raise BadEvidence(file, "expected SwapTotal: and SwapFree: with kilobytes") from error


def judge_swap(judgement: Judgement, swaps: str, meminfo: str, mark: str) -> None:
    """Whether the devices' sizes and use are the totals.

    Requires  both were read while nothing was swapped, as at a mark
    """
    devices = read_swaps(swaps, f"{mark}/proc/swaps")
    total, free = read_swap_totals(meminfo, f"{mark}/proc/meminfo")
    sizes, used = sum(size for size, _ in devices), sum(use for _, use in devices)
    judgement.events += 1
    judgement.checked(_TOTAL)
    if not totals_agree(total, free, sizes, used):
        observed = f"SwapTotal {total} kB, SwapFree {free} kB"
        permitted = f"{sizes} kB, {sizes - used} kB"
        why = f"mark {mark}: devices of {sizes} kB, {used} kB used"
        judgement.broken(Divergence(_TOTAL, judgement.events - 1, -1, observed, permitted, why))


_TYPE_SHIFT: Final = 58
"""Where a swap entry of a 64-bit kernel holds the device's number."""
_BATCH: Final = re.compile(r": getswap: .* n=(-?\d+)")
_SLOT: Final = re.compile(r": getswapf: .* entry=0x([0-9a-f]+)")


_BACK: Final = re.compile(r": swaprange: .* n=(\d+)")
_MARK: Final = re.compile(r": tracing_mark_write: SYNC (\w+) begin")


def judge_use(judgement: Judgement, lines: Iterable[str], used: Mapping[str, int]) -> None:
    """Whether devices say at each mark that used is what was taken, less what CPUs gave back.

    lines     ftrace text with probes of get_swap_pages (returned) and swapcache_free_entries
    used      mark -> slots that /proc/swaps shows as used; at the first mark of the lines, that many are
    Requires  nothing was lost, and no large page goes to swap whole
    """
    taken, base = 0, -1
    for number, line in enumerate(lines, 1):
        batch, back, mark = _BATCH.search(line), _BACK.search(line), _MARK.search(line)
        if batch:
            taken += int(batch[1])
        elif back:
            taken -= int(back[1])
        elif mark and mark[1] in used:
            base = used[mark[1]] - taken if base < 0 else base
            judgement.events += 1
            judgement.checked(TAKEN.id)
            if used[mark[1]] != base + taken:
                found = (f"{used[mark[1]]} slots used", f"{base + taken} slots", f"mark {mark[1]}")
                judgement.broken(Divergence(TAKEN.id, judgement.events - 1, number, *found))


def judge_turns(judgement: Judgement, lines: Iterable[str], devices: int) -> int:
    """Whether devices give slots in turn; the result is how many batches were seen whole.

    lines     ftrace text of one CPU with return probes of get_swap_pages and folio_alloc_swap
    Requires  all devices have one priority and none is full
    """
    last, at, left, batches = -1, -1, 0, 0
    for number, line in enumerate(lines, 1):
        batch, slot = _BATCH.search(line), _SLOT.search(line)
        if batch:
            last, at, left = at, -1, int(batch[1])
        elif slot and left > 0:
            device = int(slot[1], 16) >> _TYPE_SHIFT
            permitted = at if at >= 0 else (last + 1) % devices if last >= 0 else device
            judgement.events += 1
            judgement.checked(TURN.id)
            if device != permitted:
                why = f"the batch before was of device {last}" if at < 0 else f"the batch is of device {at}"
                found = (f"device {device}", f"device {permitted}", why)
                judgement.broken(Divergence(TURN.id, judgement.events - 1, number, *found))
            at, left = device, left - 1
            batches += left == 0
    return batches
