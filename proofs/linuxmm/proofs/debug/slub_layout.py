"""Theorems about the slots of SLUB with debugging."""

from typing import Annotated

from linuxmm.proofs.domain import Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.debug.slub_layout import AskedSize, SlotForm, SlubOptions, slub_layout

Size = Annotated[int, Word(64, below=1 << 32)]
Flag = Annotated[bool, Truth()]
KINDS = (
    (False, False, False, 0),
    (True, False, False, 0),
    (True, True, False, 0),
    (True, True, True, 0),
    (True, True, True, 4),
    (True, True, True, 8),
)
"""Forms of slot that kernels had: left red zone, pointer in the middle, small objects too, asked size."""


@theorem(
    "debug.slub.layout",
    "The parts of a slot follow each other without sharing a byte; object and slot are aligned; with red "
    "zones there is at least one red byte behind the object, and before it since there is a red zone on the "
    "left, and a free pointer that lies outside the object does not touch what is behind.",
    proves=(slub_layout,),
    features=("F077",),
    bounds="objects of 1 byte to 4 GiB, alignments of 8 to 4096, every option, every form of slot",
    witness={
        "size": 40, "align": 8, "red_zone": True, "poison": True, "store_user": True, "keeps": False,
        "kmalloc": False, "kind": 4, "asked_red": False, "track": 32,
    },
    mutants=(
        Mutant(slub_layout, "adds no red zone behind whole words", "used += WORD", "used += 0"),
        Mutant(slub_layout, "puts the free pointer under the tracks", "used + WORD if", "used if"),
        Mutant(slub_layout, "does not align the left red zone", "align_up(WORD, align)", "WORD"),
        Mutant(slub_layout, "does not align the slot", "align_up(end + left, align)", "end + left"),
        Mutant(slub_layout, "forgets the left red zone in the size", "end + left, align", "end, align"),
    ),
)  # fmt: skip
def parts_are_disjoint(
    size: Size,
    align: Annotated[int, each((8, 16, 64, 4096))],
    red_zone: Flag,
    poison: Flag,
    store_user: Flag,
    keeps: Flag,
    kmalloc: Flag,
    kind: Annotated[int, each(tuple(range(len(KINDS))))],
    asked_red: Flag,
    track: Annotated[int, Word(64, below=1 << 10)],
) -> bool:
    assume((size > 0) & (track & 7 == 0))
    left, middle, small, asked = KINDS[kind]
    options = SlubOptions(red_zone, poison, store_user, keeps, kmalloc)
    form = SlotForm(left, middle, small, track, 0)
    slot = slub_layout(size, align, options, AskedSize(asked, asked_red), form)
    kept = asked_red if asked else False
    moved = ((size < 8) if small else False) | (store_user & kmalloc & kept)
    outside = keeps | poison | (red_zone & moved)
    ordered = (
        (slot.right_red_zone == slot.object + size)
        & (slot.right_red_zone <= slot.tracks)
        & (slot.tracks <= slot.asked_size)
        & (slot.asked_size <= slot.padding)
        & (slot.padding <= slot.size)
    )
    return (
        ordered
        & (slot.object & (align - 1) == 0)
        & (slot.size & (align - 1) == 0)
        & (slot.free_pointer & 7 == 0)
        & implies(
            outside, (slot.right_red_zone <= slot.free_pointer) & (slot.free_pointer + 8 == slot.tracks)
        )
        & implies(red_zone & outside, slot.right_red_zone < slot.free_pointer)
        & implies(red_zone, (slot.object > 0) == left)
        & implies(
            red_zone,
            (slot.right_red_zone < slot.tracks) & (slot.padding + 8 <= slot.size),
        )
    )
