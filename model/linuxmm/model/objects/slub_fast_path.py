"""SLUB's fast path in single steps: what may happen between reading the list and changing it.

Threads of one CPU take turns at any step.  An allocation reads the transaction id and the first free object,
then the object behind it, then replaces both in one compare-and-exchange, or starts again.  A release does
likewise.  Without the id an object that was taken and put back meanwhile looks as if nothing had happened.

Linux: mm/slub.c:__slab_alloc_node, do_slab_free; 3.1 to 6.12.  Seed 2.1.2.2 (F033).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from immutables import Map

from linuxmm.model.vm.explore import Finding, search
from linuxmm.spec.objects.objects import HANDED_OUT_ONCE
from linuxmm.spec.registry import formula, verb
from linuxmm.spec.step import Refusal

END: Final = -1
ALLOC: Final = 0
FREE_FIRST: Final = 1
"""Give back the object that the thread has had longest."""


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread.

    todo       operations still to be made
    stage      steps of the first one that were made
    tid, head, after   what was read
    held       objects, those had longest first
    """

    todo: tuple[int, ...]
    stage: int = 0
    tid: int = 0
    head: int = END
    after: int = END
    held: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Cpu:
    """A CPU's list: its first object, the transaction id, the links, and the threads that use it."""

    head: int
    tid: int
    next: Map[int, int]
    threads: tuple[Thread, ...]


def start(objects: int, programs: tuple[tuple[int, ...], ...]) -> Cpu:
    """A CPU whose list holds all objects in order, and threads that have made no step."""
    links = Map({number: number + 1 for number in range(objects - 1)} | {objects - 1: END})
    return Cpu(0, 0, links, tuple(Thread(program) for program in programs))


@formula("F033", source="mm/slub.c:__update_cpu_freelist_fast; this_cpu_cmpxchg_double")
def exchanges(head: int, tid: int, head_read: int, tid_read: int) -> bool:
    """Whether the compare-and-exchange takes place: neither the first object nor the id has changed."""
    return head == head_read and tid == tid_read


@formula("F033", source="linuxmm: the exchange without a transaction id")
def exchanges_without_tid(head: int, tid: int, head_read: int, tid_read: int) -> bool:
    """A compare-and-exchange of the first object alone."""
    return head == head_read


@verb("F033", source="mm/slub.c:__slab_alloc_node, do_slab_free")
def step(cpu: Cpu, at: int, with_tid: bool = True) -> Cpu:
    """One step of a thread.

    Requires  it has something to do
    """
    thread = cpu.threads[at]
    allocates = thread.todo[0] == ALLOC
    if thread.stage == 0:
        return _with(cpu, at, replace(thread, stage=1, tid=cpu.tid, head=cpu.head))
    if thread.stage == 1:
        return _second(cpu, at, thread, allocates)
    test = exchanges if with_tid else exchanges_without_tid
    if not test(cpu.head, cpu.tid, thread.head, thread.tid):
        return _with(cpu, at, replace(thread, stage=0))
    if allocates:
        done = replace(thread, todo=thread.todo[1:], stage=0, held=(*thread.held, thread.head))
        return _with(replace(cpu, head=thread.after, tid=cpu.tid + 1), at, done)
    done = replace(thread, todo=thread.todo[1:], stage=0, held=thread.held[1:])
    return _with(replace(cpu, head=thread.held[0], tid=cpu.tid + 1), at, done)


def _second(cpu: Cpu, at: int, thread: Thread, allocates: bool) -> Cpu:
    """Read the link of the first object, or write that of the object that comes back."""
    if not allocates:
        number = thread.held[0]
        return _with(replace(cpu, next=cpu.next.set(number, thread.head)), at, replace(thread, stage=2))
    if thread.head == END:
        return _with(cpu, at, replace(thread, todo=thread.todo[1:], stage=0))
    return _with(cpu, at, replace(thread, stage=2, after=cpu.next[thread.head]))


def _with(cpu: Cpu, at: int, thread: Thread) -> Cpu:
    return replace(cpu, threads=(*cpu.threads[:at], thread, *cpu.threads[at + 1 :]))


def judge(cpu: Cpu) -> Refusal | None:
    """Whether an object is in two hands, or in somebody's and on the list."""
    held = [number for thread in cpu.threads for number in thread.held]
    listed: list[int] = []
    at = cpu.head
    while at != END and len(listed) <= len(cpu.next):
        listed.append(at)
        at = cpu.next[at]
    whole = [*held, *listed]
    if len(set(whole)) == len(whole):
        return None
    return Refusal(HANDED_OUT_ONCE.id, f"in hands: {sorted(held)}, on the list: {listed[: len(cpu.next)]}")


def explore(cpu: Cpu, with_tid: bool = True) -> Finding:
    """Every order of steps."""

    def steps(state: Cpu) -> Iterator[tuple[str, Cpu]]:
        for at, thread in enumerate(state.threads):
            if thread.todo and (thread.todo[0] == ALLOC or thread.held):
                what = ("alloc", "free")[thread.todo[0]]
                yield f"thread {at}: {what} step {thread.stage + 1}", step(state, at, with_tid)

    return search(cpu, steps, judge)
