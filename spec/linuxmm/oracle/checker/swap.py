"""Hold /proc/swaps of a real kernel against /proc/meminfo.

Linux: mm/swapfile.c:swap_show, fs/proc/meminfo.c.  Seed 2.4 (F004).  6.1 to 6.12.
"""

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.reclaim.swap import totals_agree
from linuxmm.spec.verdict import Divergence, Judgement

_TOTAL = "reclaim.swap.total"


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
