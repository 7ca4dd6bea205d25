"""`linuxmm live vm`: the kernel at hand conforms; a planted fault is found, shrunk and printed."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from linuxmm.model.vm import process as process_module
from linuxmm.model.vm.rules import Rules
from linuxmm.oracle.cli import main
from linuxmm.oracle.live.compare import Comparison
from linuxmm.oracle.live.generate import Generator, outcomes_of
from linuxmm.oracle.live.guest import judge_log
from linuxmm.oracle.live.recorded import draw, list_text, sections_of
from linuxmm.oracle.live.reproducer import c_program, reproducer
from linuxmm.oracle.live.run import Divergence, live, replay
from linuxmm.oracle.live.session import CannotRun, Executor, executor_command
from linuxmm.oracle.live.shrink import shrink
from linuxmm.oracle.live.start import Start, read_start
from linuxmm.oracle.live.wire import decode, encode, read_reply, read_state
from linuxmm.spec.errors import BadEvidence, LinuxmmError, Unmodelled
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.system_calls import SystemCall

FOLDER = Path(__file__).parents[2] / "vectors" / "vm"
HELLO = (FOLDER / "process.txt").read_bytes().replace(b"RELEASE", b"6.18.44")


@pytest.fixture(scope="module", autouse=True)
def _layout_can_be_fixed() -> None:
    try:
        with Executor(executor_command()) as executor:
            executor.start()
    except (CannotRun, Unmodelled) as error:
        pytest.skip(str(error))


def start() -> Start:
    return read_start(HELLO.splitlines(keepends=True), "process.txt")


def test_the_kernel_at_hand_conforms() -> None:
    outcome = live(700, 5)
    assert [(each.refusal, encode(each.calls[-1])) for each in outcome.divergences] == []
    assert outcome.events == 700
    assert {"mmap done", "munmap done", "mprotect merge-6", "mremap EINVAL:overlap"} & set(outcome.seen)


def test_the_same_seed_draws_the_same_calls() -> None:
    first, second, other = (draw(start(), 120, seed, Counter()) for seed in (3, 3, 4))
    assert first == second
    assert first != other
    assert list_text(first).startswith("new\n")
    assert [decode(encode(call)) for section in first for call in section] == [
        call for section in first for call in section
    ]


def test_what_was_seen_least_is_drawn_first() -> None:
    begun = start()
    areas = len(begun.process.space.areas)
    often = Counter({"brk done": 1000, "fork done": 1000, "store done": 1000, "load done": 1000})
    generator = Generator(Random(1), often, begun.rules, begun.foreign, areas)
    names = [type(generator.next(begun.process, begun.process.space.brk, 4).call).__name__ for _ in range(40)]
    assert names.count("Brk") + names.count("Fork") <= 6


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Rules:
    """A model in which munmap leaves the last page of what it is to unmap."""
    honest = process_module._VERBS[calls.Munmap]

    def munmap(rules: Rules, space: object, call: calls.Munmap) -> object:
        return honest(rules, space, replace(call, length=max(call.length - 4096, 1)))

    monkeypatch.setitem(process_module._VERBS, calls.Munmap, munmap)
    return start().rules


def test_a_planted_fault_is_found_and_shrunk(faulty: Rules) -> None:
    outcome = live(500, 2)
    assert len(outcome.divergences) == 1
    short = shrink(outcome.divergences[0], replay, 60)
    assert short.refusal.clause in ("vm.call.areas", "vm.call.counts", "vm.call.result")
    assert len(short.calls) <= 4
    assert isinstance(short.calls[-1], calls.Munmap)


def test_a_divergence_that_does_not_repeat_stays_as_it_was() -> None:
    found = Divergence((calls.Munlockall(),), Refusal("vm.call.result", "once"), "0x0")
    assert shrink(found, lambda calls: None) is found


def test_a_shorter_run_must_break_the_same_clause() -> None:
    wanted = Refusal("vm.call.areas", "so")

    def again(tried: Sequence[SystemCall]) -> Divergence | None:
        needed = calls.Brk(1) in tried
        return Divergence(tuple(tried), wanted if needed else Refusal("other", ""), "0x0")

    long: tuple[SystemCall, ...] = (*[calls.Fork()] * 5, calls.Brk(1), *[calls.Munlockall()] * 5)
    short = shrink(Divergence(long, wanted, "0x0"), again)
    assert short.calls == (calls.Brk(1), calls.Munlockall())


def test_an_executor_that_ends_is_a_divergence(tmp_path: Path) -> None:
    one = calls.Mmap(0x10000000000, 4096, 3, 0x32)
    hello = tmp_path / "hello"
    hello.write_bytes(HELLO)
    program = (
        "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read()); sys.stdout.flush(); input()"
    )
    command = ("python3", "-c", program, str(hello))
    found = replay((one,), command)
    assert found is not None
    assert found.refusal.clause == "vm.call.answered"


def test_every_call_has_a_c_statement() -> None:
    some: list[SystemCall] = [
        calls.Mmap(1, 2, 3, 4, 1000, 5),
        calls.Munmap(1, 2),
        calls.Mprotect(1, 2, 3),
        calls.Mremap(1, 2, 3, 4, 5),
        calls.Brk(1),
        calls.Madvise(1, 2, 3),
        calls.Mlock(1, 2),
        calls.Mlock(1, 2, 1, second=True),
        calls.Munlock(1, 2),
        calls.Mlockall(1),
        calls.Munlockall(),
        calls.Mincore(1, 2),
        calls.Msync(1, 2, 3),
        calls.SetName(1, 2, "mine"),
        calls.SetName(1, 2, None),
        calls.Mseal(1, 2),
        calls.Store(1, b"ab"),
        calls.Load(1, 2),
        calls.SetLimit("data", 4096),
        calls.Fork(),
    ]
    found = Divergence(tuple(some), Refusal("vm.call.result", "a */ b"), "0x0")
    text = c_program(found)
    assert text.count("show(") == len(some) + 1
    assert "files[0]" in text
    assert "a * / b" in text
    assert [decode(line) for line in reproducer(found).splitlines()] == some


def test_the_command_prints_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", "vm", "--ops", "60", "--seed", "9", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "conforms"
    assert document["events"] == 60
    assert document["divergences"] == []
    assert sum(document["coverage"].values()) >= 60


def test_the_command_tells_of_a_divergence(
    faulty: Rules, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    program = tmp_path / "reproducer.c"
    assert main(["live", "--ops", "500", "--seed", "2", "--program", str(program)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("diverges  kernel ")
    assert "munmap" in out
    assert "SYS_munmap" in program.read_text()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([b"what\n"], r"^executor:0: expected = RESULT ERRNO PAYLOAD, got b'what\\n'$"),
        ([b"= 0 0 -\n", b".\n"], r"^executor:0: expected the counters: c SIZE LOCKED DATA STACK$"),
    ],
)
def test_a_reply_that_is_none_is_named(lines: list[bytes], message: str) -> None:
    with pytest.raises(BadEvidence, match=message):
        read_reply(lines)


def test_a_state_that_differs_is_told_by_its_first_area() -> None:
    begun = start()
    comparison = Comparison(begun.rules)
    assert comparison.areas(begun.process.space, begun.state) is None
    areas = begun.process.space.areas
    moved = replace(begun.process.space, areas=(replace(areas[0], flags=areas[0].flags | 2), *areas[1:]))
    refusal = comparison.areas(moved, begun.state)
    assert refusal is not None
    assert refusal.why.startswith("expected 00400000-00401000 rw-p ")
    fewer = comparison.areas(replace(moved, areas=areas[:-1]), begun.state)
    assert fewer is not None
    assert "expected nothing there, found 7ffffffde000-7ffffffff000" in fewer.why
    more = replace(moved, areas=(*areas, replace(areas[0], start=0x7FFFFFFFF000, end=0x7FFFFFFFF000)))
    missing = comparison.areas(more, begun.state)
    assert missing is not None
    assert missing.why.endswith("found nothing there")


def test_a_log_is_cut_at_each_process() -> None:
    assert [len(lines) for lines in sections_of(b"boot\n" + HELLO + HELLO)] == [len(HELLO.splitlines())] * 2


def test_outcomes_name_the_call_its_refusal_and_its_merges() -> None:
    begun = start()
    call = calls.Madvise(1, 4096, 4)
    step = process_module.call(begun.rules, begun.process, call)
    assert outcomes_of(call, step.result, step.events) == ("madvise-4 EINVAL:unaligned",)


def test_counters_are_four() -> None:
    with pytest.raises(BadEvidence, match="expected four counters, got 2"):
        read_state([b"~\n", b"c 1 2\n"])


def test_a_program_that_speaks_the_protocol_is_driven(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["serve", "vm", "--ops", "40", "--json", "--", *executor_command()]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["events"] == 40


def test_a_program_that_answers_wrongly_diverges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says hello and then that every call gave 5, and changed nothing."""
    hello = tmp_path / "hello"
    hello.write_bytes(HELLO)
    program = (
        "import sys\nout = sys.stdout.buffer\nout.write(open(sys.argv[1], 'rb').read())\nout.flush()\n"
        "for line in sys.stdin:\n"
        " out.write(b'= 5 0 -\\n~\\nc 3020 0 2040 132\\n.\\n')\n"
        " out.flush()\n"
    )
    assert main(["serve", "vm", "--ops", "40", "--", sys.executable, "-c", program, str(hello)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("diverges  kernel 6.18.44, 1 calls")
    assert "vm.call.result: expected " in out


def test_a_release_that_is_not_described_is_unspecified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hello = tmp_path / "hello"
    hello.write_bytes(HELLO.replace(b"6.18.44", b"7.99"))
    program = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())"
    assert main(["serve", "vm", "--", sys.executable, "-c", program, str(hello)]) == 3
    assert "unspecified: kernel version 7.99" in capsys.readouterr().err


def test_a_program_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "vm", "no-such-program"]) == 2
    assert capsys.readouterr().err == "linuxmm: no-such-program: No such file or directory\n"


def test_a_list_that_was_drawn_is_made_elsewhere_and_judged() -> None:
    with Executor(executor_command()) as executor:
        begun = executor.start()
    drawn = draw(begun, 60, 11, Counter())
    made = b"".join(
        subprocess.run(
            executor_command(),
            input=list_text((section,)).removeprefix("new\n").encode(),
            capture_output=True,
            check=True,
        ).stdout
        for section in drawn
    )
    assert judge_log(drawn, sections_of(made)) == (60, ())
    events, found = judge_log(drawn, sections_of(made.replace(b"= 0 0 -", b"= 1 0 -", 1)))
    assert events < 60
    assert [each.refusal.clause for each in found] == ["vm.call.result"]
    torn = sections_of(made)
    events, found = judge_log(drawn, [torn[0][:-1]])
    assert [each.refusal.why for each in found] == ["the process ended"]
    with pytest.raises(LinuxmmError, match="expected the logs of 1 processes, got 0"):
        judge_log(drawn, [])
