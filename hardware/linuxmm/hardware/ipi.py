"""Interrupts between CPUs that ask for a flush, and a flush on many CPUs made of them.

A request waits until its CPU takes the interrupt; the flush is complete when every CPU asked has done it.
Which CPUs are asked, and when, is the kernel's business.

Linux: kernel/smp.c:smp_call_function_many_cond, arch/x86/mm/tlb.c:flush_tlb_multi.  Seed 2.3.2 (F041).
"""

from dataclasses import dataclass, replace

from linuxmm.hardware.processor import Processor, flush
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Event, Step
from linuxmm.spec.vm.staleness import Flush


@dataclass(frozen=True, slots=True)
class FlushRequest(Event):
    """CPU `sender` asks CPU `target` to flush; `number` is the same for all CPUs asked at once."""

    number: int
    sender: int
    target: int
    flush: Flush
    pcid: int
    va: int = 0


@dataclass(frozen=True, slots=True)
class FlushDone(Event):
    """The target of a request has flushed."""

    request: FlushRequest


@dataclass(frozen=True, slots=True)
class Processors:
    """The machine's CPUs and the requests that have not been taken yet, oldest first.

    next_number  of the next flush
    """

    cpus: tuple[Processor, ...]
    pending: tuple[FlushRequest, ...] = ()
    next_number: int = 0


@verb("F041", source="arch/x86/mm/tlb.c:flush_tlb_multi; 5.10 to 6.12")
def ask(
    machine: Processors, sender: int, targets: tuple[int, ...], reach: Flush, pcid: int, va: int = 0
) -> Step[Processors, int]:
    """Flush on the sender at once, and ask the others; the flush's number.

    Errors    IndexError for a CPU that is not there
    """
    number = machine.next_number
    if not all(0 <= cpu < len(machine.cpus) for cpu in (sender, *targets)):
        raise IndexError(f"CPUs {(sender, *targets)}: expected 0 to {len(machine.cpus) - 1}")
    requests = tuple(
        FlushRequest(number, sender, target, reach, pcid, va) for target in targets if target != sender
    )
    local = flush(machine.cpus[sender], reach, pcid, va)
    cpus = (*machine.cpus[:sender], local.state, *machine.cpus[sender + 1 :])
    after = Processors(cpus, machine.pending + requests, number + 1)
    return Step(after, number, (*local.events, *requests))


@verb("F041", source="kernel/smp.c:__flush_smp_call_function_queue; 2.6.28 to 6.12")
def take(machine: Processors, cpu: int) -> Step[Processors, FlushRequest | None]:
    """The CPU takes its oldest request and does it; None if it has none."""
    request = next((one for one in machine.pending if one.target == cpu), None)
    if request is None:
        return Step(machine, None)
    done = flush(machine.cpus[cpu], request.flush, request.pcid, request.va)
    at = machine.pending.index(request)
    after = replace(
        machine,
        cpus=(*machine.cpus[:cpu], done.state, *machine.cpus[cpu + 1 :]),
        pending=machine.pending[:at] + machine.pending[at + 1 :],
    )
    return Step(after, request, (*done.events, FlushDone(request)))


def is_complete(machine: Processors, number: int) -> bool:
    """Whether every CPU asked by the flush `number` has done it."""
    return number < machine.next_number and all(one.number != number for one in machine.pending)
