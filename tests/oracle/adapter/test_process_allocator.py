"""A child process that keeps to the protocol is understood; one that does not is one clear error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.oracle.adapter.allocator import BrokenImplementation, Fault, Setup
from linuxmm.oracle.adapter.process import ProcessAllocator
from linuxmm.oracle.adapter.protocol import decode, encode, highest_index, init_request
from linuxmm.spec.alloc.page_state import Layout, Span
from linuxmm.spec.alloc.pages import Done, Failed, Granted
from linuxmm.spec.step import Errno
from linuxmm.spec.vocabulary import MigrateType, ZoneType

SETUP = Setup(
    Layout((Span(ZoneType.DMA, 0, 0, 16), Span(ZoneType.NORMAL, 0, 16, 64)), max_order=4, pageblock_order=3),
    ((20, 21),),
    (32,),
)
GREET = """
import sys, time, os
sys.stdin.readline()
print('{"ok":true}', flush=True)
line = sys.stdin.readline()
"""


@contextmanager
def child(script: str, timeout: float = 5.0) -> Iterator[ProcessAllocator]:
    with ProcessAllocator([sys.executable, "-c", GREET + script], timeout) as allocator:
        allocator.start(SETUP)
        yield allocator


def test_the_first_request_describes_the_machine() -> None:
    assert encode(init_request(SETUP)) == (
        b'{"op":"init","version":1,"max_order":4,"pageblock_order":3,'
        b'"zones":[{"zone":"DMA","node":0,"start":0,"end":16},{"zone":"Normal","node":0,"start":16,"end":64}],'
        b'"absent":[[20,21]],"isolated":[32]}\n'
    )
    assert [highest_index(SETUP, zone) for zone in (ZoneType.DMA, ZoneType.NORMAL, ZoneType.MOVABLE)] == [
        0,
        1,
        1,
    ]


def test_a_request_goes_out_as_the_protocol_says() -> None:
    echo = "sys.stderr.write(line); sys.stderr.flush(); os._exit(0)"
    with child(echo) as allocator, pytest.raises(BrokenImplementation) as caught:
        allocator.alloc(2, MigrateType.MOVABLE, "GFP_KERNEL")
    assert caught.value.detail == (
        'its last words: {"op":"alloc","order":2,"migratetype":"movable","gfp":"GFP_KERNEL","highest":1}'
    )


@pytest.mark.parametrize(
    ("reply", "expected"),
    [('{"pfn":64}', Granted(64)), ('{"error":"ENOMEM","more":1}', Failed(Errno.ENOMEM))],
)
def test_answers_to_a_request(reply: str, expected: Granted | Failed) -> None:
    with child(f"print('{reply}', flush=True)") as allocator:
        assert allocator.alloc(0, MigrateType.UNMOVABLE, "GFP_KERNEL") == expected


def test_answers_to_the_others() -> None:
    with child("print('{\"ok\":true}', flush=True)") as allocator:
        assert allocator.free(3, 0) == Done()
    with child("print('{\"counts\":[1,2]}', flush=True)") as allocator:
        assert allocator.counts() == (1, 2)
    with child("print('{\"free\":[[0,4]]}', flush=True)") as allocator:
        assert allocator.lists() == ((0, 4),)
    with child('print(\'{"error":"ENOENT"}\', flush=True)') as allocator:
        assert allocator.lists() is None


@pytest.mark.parametrize(
    ("script", "fault", "says"),
    [
        ("time.sleep(60)", Fault.HUNG, "did not answer in time at the request"),
        ("os._exit(3)", Fault.DIED, "died at the request"),
        ("sys.stderr.write('assertion failed'); sys.exit(3)", Fault.DIED, "its last words: assertion failed"),
        (
            "sys.stdout.write('{\"pfn\"'); sys.stdout.flush(); os._exit(0)",
            Fault.TORN,
            "in the middle of a line",
        ),
        ("print('hello', flush=True)", Fault.GARBAGE, "'hello'"),
        ('print(\'{"pfn":"x"}\', flush=True)', Fault.GARBAGE, "Expected `int | null`, got `str`"),
        ("print('{}', flush=True)", Fault.GARBAGE, "expected exactly one of ok, pfn, error, counts, free"),
        ('print(\'{"error":"EWHAT"}\', flush=True)', Fault.GARBAGE, "error 'EWHAT' (expected one of EPERM"),
        ("print('{\"ok\":true}', flush=True)", Fault.GARBAGE, "expected pfn or error"),
        ('print(\'{"pfn":1}\\n{"pfn":2}\', flush=True)', Fault.SURPLUS, "more than one reply"),
        (
            "sys.stdout.write('x' * 2000000); sys.stdout.flush(); time.sleep(60)",
            Fault.TOO_LONG,
            "1048576 bytes",
        ),
    ],
)
def test_a_broken_child_is_named(script: str, fault: Fault, says: str) -> None:
    timeout = 0.2 if fault is Fault.HUNG else 5.0
    with child(script, timeout) as allocator, pytest.raises(BrokenImplementation) as caught:
        allocator.alloc(0, MigrateType.UNMOVABLE, "GFP_KERNEL")
    assert caught.value.fault is fault
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(BrokenImplementation, match="could not be started: /no/such/program: No such file"):
        ProcessAllocator(["/no/such/program"]).start(SETUP)
    with pytest.raises(BrokenImplementation, match=r"start\(\) was not called"):
        ProcessAllocator(["true"]).counts()


def test_a_long_line_of_garbage_is_shortened() -> None:
    with pytest.raises(ValueError, match=r"^'x{120}' \.\.\. \("):
        decode(b"x" * 500)


LIKELY = st.text(alphabet='{}[]",:pfnokerr0123456789-', max_size=60)


@given(st.one_of(st.binary(max_size=60), LIKELY.map(str.encode)))
def test_whatever_comes_is_a_reply_or_one_clear_error(line: bytes) -> None:
    said = ""
    try:
        reply = decode(line)
    except ValueError as error:
        said = str(error)
    else:
        assert decode(msgspec.json.encode(reply)) == reply
    assert "\n" not in said
