"""Names for anonymous memory, and seals.

Linux: mm/madvise.c:madvise_set_anon_name, kernel/sys.c:prctl_set_vma (5.17); mm/mseal.c (6.10).
Seed 2.8 (F057, F059).
"""

from typing import Final

from linuxmm.model.vm.areas import deny, range_end
from linuxmm.model.vm.madvise import update, walk
from linuxmm.model.vm.merge import modify
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula, verb
from linuxmm.spec.step import Errno, Event, Step
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import FileKind
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.space import AddressSpace, index_from
from linuxmm.spec.vm.system_calls import Mseal, SetName

MAX_NAME: Final = 80
_FORBIDDEN: Final = frozenset("\\`$[]")


@behaviour("vm.nameable", since="2.4.0", until="5.16", features=("F057",), source="kernel/sys.c; 5.16")
def names_unknown(kind: FileKind | None) -> bool | None:
    """There are no names."""
    return None


@behaviour(
    "vm.nameable",
    since="5.17",
    until="6.1",
    features=("F057",),
    source="mm/madvise.c:madvise_vma_anon_name; 5.17 to 6.1",
)
def names_for_private(kind: FileKind | None) -> bool | None:
    """Private anonymous memory has names."""
    return kind is None


@behaviour(
    "vm.nameable",
    since="6.2",
    until="6.18",
    features=("F057",),
    source="mm/madvise.c:madvise_vma_anon_name; commit d09e8ca6cb93, 6.2 to 6.18",
)
def names_for_shared_too(kind: FileKind | None) -> bool | None:
    """Anonymous memory has names, shared or not."""
    return kind in (None, FileKind.SHARED_ANONYMOUS)


@formula("F057", source="kernel/sys.c:is_valid_name_char; 5.17 to 6.18")
def is_valid_name(name: str) -> bool:
    """Printable ASCII without \\, `, $, [ and ]; at most 79 characters."""
    return len(name) < MAX_NAME and all(" " <= c <= "~" and c not in _FORBIDDEN for c in name)


@verb("F057", source="mm/madvise.c:madvise_set_anon_name; 5.17 to 6.18")
def set_name(rules: Rules, space: AddressSpace, call: SetName) -> Step[AddressSpace, int | Denied]:
    """Name a range of anonymous memory; None takes the name away.

    Refuses  EINVAL: not known or not built in, a bad name, start is no page, the range wraps; EBADF: a file;
             ENOMEM: a hole (the mapped parts are named); EAGAIN: too many areas
    """
    if rules.nameable(None) is None:
        return Step(space, deny(Errno.EINVAL, "no-names"))
    if call.name is not None and not is_valid_name(call.name):
        return Step(space, deny(Errno.EINVAL, "bad-name"))
    end = range_end(rules.bits, call.address, call.length)
    if isinstance(end, Denied):
        return Step(space, end)

    def visit(
        rules: Rules, space: AddressSpace, number: int, start: int, end: int
    ) -> Step[AddressSpace, Denied | None]:
        area = space.areas[number]
        kind = None if area.file is None else space.files[area.file].kind
        if not rules.nameable(kind):
            return Step(space, deny(Errno.EBADF, "file"))
        return update(rules, space, number, start, end, area.flags, call.name)

    return walk(rules, space, call.address, end, visit)


@behaviour("vm.seals", since="2.4.0", until="6.9", features=("F059",), source="mm/mseal.c; 6.10")
def no_seals() -> bool:
    """There is no mseal."""
    return False


@behaviour("vm.seals", since="6.10", until="6.18", features=("F059",), source="mm/mseal.c; 6.10 to 6.18")
def has_seals() -> bool:
    """mseal keeps areas from being unmapped, moved or given other rights."""
    return True


@verb("F059", source="mm/mseal.c:do_mseal; 6.10 to 6.18")
def mseal(rules: Rules, space: AddressSpace, call: Mseal) -> Step[AddressSpace, int | Denied]:
    """Seal a range, all of it or nothing.

    Refuses  EINVAL: flags, start is no page, the range wraps; ENOMEM: a hole, too many areas
    """
    if call.flags:
        return Step(space, deny(Errno.EINVAL, "unknown-flags"))
    end = range_end(rules.bits, call.address, call.length)
    if isinstance(end, Denied):
        return Step(space, end)
    at = call.address
    while at < end:
        number = index_from(space, at)
        if number == len(space.areas) or space.areas[number].start > at:
            return Step(space, deny(Errno.ENOMEM, "hole"))
        at = space.areas[number].end
    return _seal(rules, space, call.address, end)


def _seal(rules: Rules, space: AddressSpace, start: int, end: int) -> Step[AddressSpace, int | Denied]:
    events: tuple[Event, ...] = ()
    at = start
    while at < end:
        number = index_from(space, at)
        area = space.areas[number]
        upto = min(area.end, end)
        if not area.flags & vm.VM_SEALED:
            step = modify(rules, space, number, at, upto, area.flags | vm.VM_SEALED, area.name)
            space, events = step.state, events + step.events
            if isinstance(step.result, Denied):
                return Step(space, step.result, events)
        at = upto
    return Step(space, 0, events)
