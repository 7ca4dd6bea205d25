"""Reports of real debug kernels hold; each planted fault is found, and what is torn is incomplete."""

from pathlib import Path

import pytest

from linuxmm.oracle.check import check, shows
from linuxmm.oracle.checker.kasan import EARLY, judge_kasan, read_kasan
from linuxmm.oracle.checker.kmemleak import crc_of, judge_kmemleak, read_list
from linuxmm.oracle.checker.slub_reports import judge_slub
from linuxmm.oracle.faults_areas import area_fault, change_of
from linuxmm.spec.debug.kasan_report import (
    KasanReport,
    Placed,
    bad_granules,
    first_bad,
    is_closed,
    shown_name,
)
from linuxmm.spec.debug.slub_found import patterns_of
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import parse_version
from linuxmm.spec.verdict import Judgement, Verdict

AREAS = Path(__file__).parents[2] / "real" / "areas"
KASAN = (AREAS / "debug-kasan-6.12/data/reports.txt").read_text()
LEAKS = (AREAS / "debug-leak-6.12/data/kmemleak.txt").read_text()
LOG = (AREAS / "debug-leak-6.12/data/reports.txt").read_text()
V6_12 = parse_version("6.12.117")


def kasan(text: str) -> Judgement:
    judgement = Judgement()
    judge_kasan(judgement, text.splitlines(), V6_12)
    return judgement


def leaks(text: str, log: str = LOG) -> Judgement:
    judgement = Judgement()
    judge_kmemleak(judgement, read_list(text.splitlines(), "list"), log.splitlines())
    return judgement


def test_the_captures_conform() -> None:
    found = {name: check(AREAS / f"debug-{name}-6.12", only="debug") for name in ("kasan", "leak")}
    assert {name: report.verdict for name, report in found.items()} == {
        "kasan": Verdict.CONFORMS,
        "leak": Verdict.CONFORMS,
    }
    assert {clause: tally.checked for clause, tally in found["kasan"].judgement.clauses.items()} == {
        "debug.kasan.closed": 4,
        "debug.kasan.named": 4,
        "debug.kasan.placed": 8,
        "debug.kasan.region": 4,
    }
    assert {clause: tally.checked for clause, tally in found["leak"].judgement.clauses.items()} == {
        "debug.kmemleak.apart": 3,
        "debug.kmemleak.dumped": 6,
        "debug.kmemleak.found": 4,
    }


def test_a_report_is_read_whole() -> None:
    first = next(read_kasan(KASAN.splitlines(), Judgement()))
    assert first._replace(shadow={}) == KasanReport(
        6,
        "slab-out-of-bounds",
        "Write",
        1,
        0xFF110000035EC0A0,
        Placed(0, "to the right of", "allocated", 0xFF110000035EC060, 0xFF110000035EC0A0),
        {},
        0xFF110000035EC0A0 >> 3,
    )
    assert len(first.shadow) == 5 * 16
    assert first.shadow[0xFF110000035EC0A0 >> 3] == 0xFC


def test_stamps_of_the_log_do_not_matter() -> None:
    stamped = "\n".join(f"[    3.{at:06}] {line}" for at, line in enumerate(KASAN.splitlines()))
    assert (kasan(stamped).verdict, kasan(stamped).events) == (Verdict.CONFORMS, 4)


def planted(name: str, text: str) -> str:
    return change_of("debug", name)(text.encode()).decode()


@pytest.mark.parametrize(
    ("name", "observed", "permitted"),
    [
        ("kasan-open", "write of 1 bytes at 0xff110000035ec0a0", "memory that is closed"),
        ("kasan-other-name", "slab-out-of-bounds", "slab-use-after-free"),
        ("kasan-other-free", "invalid-free", "double-free"),
        ("kasan-distance", "1 bytes to the right of the object", "0 bytes to the right of the object"),
        ("kasan-side", "40 bytes to the left of the object", "40 bytes inside of the object"),
        ("kasan-caret", "caret at 0xff110000035ec0a8", "at 0xff110000035ec0a0"),
        ("kasan-freed-open", "shadow 0xff110000035ec190: 0x00", "the shadow of freed memory"),
        ("kasan-live-closed", "shadow 0xff110000035ec088: 0xfb", "the shadow of allocated memory"),
    ],
)
def test_what_is_said_of_a_planted_fault(name: str, observed: str, permitted: str) -> None:
    found = [(d.clause, d.observed, d.permitted) for d in kasan(planted(name, KASAN)).divergences]
    assert (area_fault("debug", name).clause, observed, permitted) in found


def test_a_torn_report_is_a_gap() -> None:
    judgement = kasan(planted("kasan-torn", KASAN))
    assert (judgement.verdict, judgement.gaps) == (Verdict.INCOMPLETE, {EARLY: 1})


def test_a_shadow_that_does_not_show_the_access_is_a_gap() -> None:
    judgement = kasan(
        KASAN.replace("Write of size 1 at addr ff110000035ec0a0", "Write of size 1 at addr ff11", 1)
    )
    assert judgement.gaps == {"KASAN reports whose shadow does not cover the access": 1}


def test_names_of_eras() -> None:
    assert shown_name("slab-use-after-free", parse_version("6.1")) == "use-after-free"
    assert shown_name("slab-use-after-free", V6_12) == "slab-use-after-free"
    assert shown_name("slab-out-of-bounds", parse_version("6.1")) == "slab-out-of-bounds"


def test_an_access_of_several_bytes_is_bad_where_it_is_closed() -> None:
    shadow = {0: 0, 1: 5, 2: 0xFC, 3: 0xFC}
    assert (first_bad(shadow, 8, 8), first_bad(shadow, 0, 8)) == (13, 0)
    report = KasanReport(1, "slab-out-of-bounds", "Read", 8, 8, None, shadow, 1)
    assert (is_closed(report), bad_granules(report)) == (True, ())


@pytest.mark.parametrize(
    ("name", "observed", "permitted"),
    [
        (
            "leak-overlap",
            "0xff1100000299f020 of 64 bytes",
            "an object behind 0xff1100000299f000 of 64 bytes",
        ),
        ("leak-bytes-missing", "32 of 48 bytes shown", "32 bytes"),
        ("leak-text", "text '" + "." * 32 + "'", "'" + "." * 15 + "A" + "." * 16 + "'"),
        ("leak-unlisted", "2 objects listed", "3"),
        ("leak-unlisted", "0xff1100000299f000 lost, not listed", "every lost object"),
    ],
)
def test_what_is_said_of_a_fault_in_the_list(name: str, observed: str, permitted: str) -> None:
    found = [(d.clause, d.observed, d.permitted) for d in leaks(planted(name, LEAKS)).divergences]
    assert (area_fault("debug", name).clause, observed, permitted) in found


def test_checksums_of_whole_objects_are_checked() -> None:
    data = b"linuxmm!"
    text = (
        "unreferenced object 0x1000 (size 8):\n  hex dump (first 8 bytes):\n"
        f"    {data.hex(' ')}  linuxmm!\n  backtrace (crc {crc_of(data):x}):\n"
    )
    assert crc_of(b"") == 0
    assert leaks(text, "").verdict is Verdict.CONFORMS
    planted = leaks(text.replace("(crc ", "(crc 1"), "")
    assert [d.permitted for d in planted.divergences] == [f"crc {crc_of(data):x}"]


# ---- slub_debug --------------------------------------------------------------------------------------------

SLUB_6_1 = "".join(
    (AREAS / f"debug-slub-6.1/data/report_{number}.txt").read_text() for number in (1, 2, 5, 8)
)
SLUB_6_12 = (AREAS / "objects-slub-debug-6.12/data/reports.txt").read_text()


def slub(text: str) -> Judgement:
    judgement = Judgement()
    judge_slub(judgement, text.splitlines())
    return judgement


@pytest.mark.parametrize(("text", "reports"), [(SLUB_6_1, 8), (SLUB_6_12, 3)], ids=["6.1", "6.12"])
def test_reports_of_overwritten_bytes_conform(text: str, reports: int) -> None:
    judgement = slub(text)
    assert (judgement.verdict, judgement.events, judgement.gaps) == (Verdict.CONFORMS, reports, {})
    assert {clause: tally.checked for clause, tally in judgement.clauses.items()} == dict.fromkeys(
        ("debug.slub.first-byte", "debug.slub.where", "debug.slub.pattern", "debug.slub.restored"), reports
    )


def test_captures_of_slub_debug_have_a_judge() -> None:
    assert shows(AREAS / "debug-slub-6.1", "debug")
    assert not shows(AREAS / "objects-slub-6.1", "debug")
    report = check(AREAS / "objects-slub-debug-6.12", only="debug")
    assert (report.verdict, report.judgement.events) == (Verdict.CONFORMS, 3)


@pytest.mark.parametrize(
    ("name", "observed", "permitted"),
    [
        ("slub-first-byte", "0x11 dumped", "0x12"),
        (
            "slub-other-place",
            "0xff11000002a41048-0xff11000002a41048",
            "Left Redzone of 64 bytes at 0xff11000002a41008",
        ),
        (
            "slub-offset",
            "0xff11000002a41048-0xff11000002a41048",
            "Right Redzone of 64 bytes at 0xff11000002a41008",
        ),
        ("slub-other-pattern", "0x6b", "0xbb or 0xcc"),
        ("slub-strange-byte", "0xcc, 0x00 at 0xff11000002a4104a", "0xbb or 0xcc"),
        (
            "slub-restored-other",
            "0xff11000002a41048-0xff11000002a41049=0xcc",
            "0xff11000002a41048-0xff11000002a41048=0xcc",
        ),
    ],
)
def test_what_is_said_of_a_fault_in_a_report(name: str, observed: str, permitted: str) -> None:
    found = [(d.clause, d.observed, d.permitted) for d in slub(planted(name, SLUB_6_12)).divergences]
    assert (area_fault("debug", name).clause, observed, permitted) in found


def test_a_report_without_its_dump_is_a_gap() -> None:
    judgement = slub(planted("slub-torn", SLUB_6_12))
    assert judgement.gaps == {"SLUB reports whose dump does not show the blamed bytes": 1}


def test_the_patterns_of_places() -> None:
    assert patterns_of("Left Redzone") == (0xBB, 0xCC)
    assert patterns_of("Object padding") == (0x5A,)
    assert patterns_of("Poison") == (0x6B, 0xA5)


def test_a_list_begins_with_an_object() -> None:
    with pytest.raises(BadEvidence) as caught:
        read_list(["  hex dump (first 32 bytes):"], "kmemleak.txt")
    assert str(caught.value) == (
        "kmemleak.txt:1: expected an unreferenced object first, got '  hex dump (first 32 bytes):'"
    )
