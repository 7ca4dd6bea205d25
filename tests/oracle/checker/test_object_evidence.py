"""Real kernels' slabs against the clauses and formulas; each planted fault is found."""

import gzip
from pathlib import Path

import msgspec
import pytest

from linuxmm.oracle.checker.objects import judge_kmem, judge_slabinfo
from linuxmm.oracle.formats import Capture, open_capture
from linuxmm.oracle.formats.areas import SlabState, area_state
from linuxmm.oracle.slab_states import judge_slabs
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import kernel
from linuxmm.spec.verdict import Judgement, Verdict

REAL = Path(__file__).parents[2] / "real"
STATES = ("vm-space-6.1", "vm-space-6.12", "debug-leak-6.12", "objects-slub-debug-6.12", "objects-slub-6.12")
KMEM = Path(__file__).parent / "kmem-6.1.txt.gz"


def state_of(name: str, mark: str = "A") -> tuple[SlabState, Capture]:
    capture = open_capture(REAL / "areas" / name)
    state = area_state(capture, mark, "slab")
    assert isinstance(state, SlabState)
    return state, capture


@pytest.mark.parametrize("name", STATES)
def test_states_of_real_kernels_keep_the_clauses(name: str) -> None:
    state, capture = state_of(name)
    judgement = Judgement()
    profile = kernel(capture.description.kernel.release)
    judge_slabs(judgement, state, profile, capture.description.machine.cpus, "A")
    assert (judgement.verdict, judgement.divergences) == (Verdict.CONFORMS, [])
    assert judgement.events > 100
    assert judgement.clauses["objects.freelist.once"].checked > 100


def test_slabinfo_of_every_shipped_capture_follows_from_the_sizes() -> None:
    judgement = Judgement()
    for file in sorted(REAL.glob("**/marks/*/proc/slabinfo")):
        capture = open_capture(file.parents[3])
        profile = kernel(capture.description.kernel.release)
        judge_slabinfo(judgement, file.read_text(), profile, capture.description.machine.cpus, str(file))
    assert judgement.divergences == []
    assert judgement.events > 5000


def test_events_of_a_real_kernel_hand_out_once_and_grant_classes() -> None:
    judgement = Judgement()
    judge_kmem(judgement, gzip.decompress(KMEM.read_bytes()).decode().splitlines(), kernel("6.1.192"))
    assert (judgement.verdict, judgement.divergences) == (Verdict.CONFORMS, [])
    assert judgement.clauses["objects.kmalloc.class"].checked > 20
    assert judgement.clauses["objects.handed-out-once"].checked > 200


BULKY = REAL / "areas" / "objects-slub-6.12" / "trace" / "slub.txt.gz"


def bulky(lines: list[str]) -> Judgement:
    judgement = Judgement()
    judge_kmem(judgement, lines, kernel("6.12.117"))
    return judgement


def test_objects_that_come_back_in_bulk_may_be_handed_out_again_so_many_times() -> None:
    lines = gzip.decompress(BULKY.read_bytes()).decode().splitlines()
    released = [line for line in lines if "kmem_cache_free_bulk" in line]
    assert len(released) == 56
    assert bulky(lines).verdict is Verdict.CONFORMS
    silent = bulky([line for line in lines if "kmem_cache_free_bulk" not in line])
    assert {each.clause for each in silent.divergences} == {"objects.handed-out-once"}
    again = silent.clauses["objects.handed-out-once"].broken
    told = sum(int(line.rpartition("number=")[2]) for line in released)
    assert 0 < again <= told
    fewer = bulky([line.replace("number=3", "number=0").replace("number=2", "number=0") for line in lines])
    assert fewer.verdict is Verdict.DIVERGES
    assert bulky([line.partition(" number=")[0] for line in lines]).verdict is Verdict.CONFORMS


def test_planted_faults_are_found() -> None:
    state, _ = state_of("vm-space-6.12")
    name, cache = next((n, c) for n, c in state.caches.items() if any(s.partial for s in c.nodes.values()))
    node, held = next((n, h) for n, h in cache.nodes.items() if h.partial)
    first = held.partial[0]
    faults = {
        "objects.slab.count": msgspec.structs.replace(first, inuse=first.inuse + 1),
        "objects.freelist.once": msgspec.structs.replace(first, free=(*first.free[1:], first.objects)),
        "objects.slub.frozen": msgspec.structs.replace(first, frozen=1),
    }
    for clause, slab in faults.items():
        nodes = {node: msgspec.structs.replace(held, partial=(slab,), nr_partial=1)}
        broken = SlabState({name: msgspec.structs.replace(cache, nodes=nodes)})
        judgement = Judgement()
        judge_slabs(judgement, broken, kernel("6.12"), 1, "A")
        assert [d.clause for d in judgement.divergences] == [clause]
    judgement = Judgement()
    larger = msgspec.structs.replace(cache, order=cache.order + 1, min_partial=99)
    judge_slabs(judgement, SlabState({name: larger}), kernel("6.12"), 1, "A")
    assert [d.clause for d in judgement.divergences] == ["objects.slub.order", "objects.slub.limits"]


def test_planted_events_are_found() -> None:
    line = (
        "t-1 [000] ..... 1.0: kmalloc: call_site=f ptr=00000000{:x} bytes_req={} bytes_alloc={} gfp_flags=0"
    )
    free = "t-1 [000] ..... 1.0: kfree: call_site=f ptr={:x}"
    judgement = Judgement()
    lines = [line.format(0x40, 90, 96), free.format(0x40), line.format(0x40, 9000, 16384), "# a comment"]
    judge_kmem(judgement, [*lines, line.format(0, 8, 8)], kernel("6.1"))
    assert (judgement.events, judgement.divergences) == (4, [])
    judge_kmem(judgement, [line.format(0x40, 90, 96), line.format(0x40, 90, 128)], kernel("6.1"))
    assert [(d.clause, d.line) for d in judgement.divergences] == [
        ("objects.handed-out-once", 2),
        ("objects.kmalloc.class", 2),
    ]


def test_a_line_that_is_no_cache_is_named() -> None:
    with pytest.raises(LinuxmmError, match="slabinfo:3: expected 16 words"):
        judge_slabinfo(Judgement(), "a\nb\nkmalloc-8 1 2\n", kernel("6.1"), 1, "A")
    judgement = Judgement()
    row = "kmalloc-8 1 2 8 511 1 : tunables 0 0 0 : slabdata 1 1 0"
    judge_slabinfo(judgement, f"a\nb\n{row}\n", kernel("6.1"), 1, "A")
    assert [d.clause for d in judgement.divergences] == ["objects.slub.order"]
