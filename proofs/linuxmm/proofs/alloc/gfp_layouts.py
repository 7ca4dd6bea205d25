"""Theorems about the numbers of GFP flags: what a kernel's word means comes back, in every layout."""

from typing import Annotated, Final

from linuxmm.proofs.domain import Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.rewrite import merged
from linuxmm.proofs.theorem import assume, theorem
from linuxmm.spec.alloc.gfp import CANONICAL_BITS
from linuxmm.spec.alloc.gfp_layouts import LAYOUTS, decode_gfp, encode_gfp

EachLayout = Annotated[int, each(range(len(LAYOUTS)))]
GfpWord = Annotated[int, Word(64, below=1 << 32)]
KERNEL_WIDE: Final = ("__GFP_WAIT", "__GFP_NO_KSWAPD")
"""Flags that decide about reclaim up to 4.3, and have no canonical bit of their own."""


def meaningful(layout: int) -> int:
    """The bits of a layout that say something to the page allocator."""
    bits = LAYOUTS[layout].bits
    return sum(bit for name, bit in bits.items() if name in CANONICAL_BITS or name in KERNEL_WIDE)


@theorem(
    "alloc.gfp.decode-encode",
    "What a kernel's word says to the page allocator is kept by writing it for that kernel and reading it "
    "again; the word that is written has exactly those of the flags that mean something.",
    proves=(decode_gfp, encode_gfp),
    features=("F003", "F017"),
    bounds="every 32-bit word, every layout from 2.4.0 to 6.12",
    witness={"word": 0x14, "layout": 4},
    mutants=(
        Mutant(encode_gfp, "forgets kswapd", "if not canonical & GFP_KSWAPD_RECLAIM_BIT", "if False"),
        Mutant(decode_gfp, "forgets direct reclaim", "canonical |= GFP_DIRECT_RECLAIM_BIT", "canonical |= 0"),
        Mutant(encode_gfp, "writes the canonical bit", "word |= bit\n", "word |= CANONICAL_BITS[name]\n"),
    ),
)
def decode_encode(word: GfpWord, layout: EachLayout) -> bool:
    kernel = LAYOUTS[layout].since
    canonical: int = merged(decode_gfp, word, kernel)
    written: int = merged(encode_gfp, canonical, kernel)
    again: int = merged(decode_gfp, written, kernel)
    return (again == canonical) & (written == word & meaningful(layout))


SEPARATE: Final = [at for at, layout in enumerate(LAYOUTS) if "__GFP_WAIT" not in layout.bits]
"""Layouts with a flag of its own for each kind of reclaim."""


@theorem(
    "alloc.gfp.encode-decode",
    "A canonical word of flags that a kernel of separate reclaim flags has is read back as it was written.",
    proves=(decode_gfp, encode_gfp),
    features=("F003", "F017"),
    bounds="every word of flags that the kernel has, every layout from 4.4 to 6.12",
    witness={"canonical": 0, "layout": SEPARATE[0]},
    mutants=(
        Mutant(decode_gfp, "reads the bit itself", "canonical |= CANONICAL_BITS[name]", "canonical |= bit"),
        Mutant(
            encode_gfp,
            "drops the flag of the lowest bit",
            "for name, bit in bits.items():",
            "for name, bit in list(bits.items())[1:]:",
        ),
    ),
)
def encode_decode(
    canonical: GfpWord,
    layout: Annotated[int, each(SEPARATE)],
) -> bool:
    kernel = LAYOUTS[layout].since
    known = sum(CANONICAL_BITS.get(name, 0) for name in LAYOUTS[layout].bits)
    assume(canonical & known == canonical)
    written: int = merged(encode_gfp, canonical, kernel)
    read: int = merged(decode_gfp, written, kernel)
    return read == canonical
