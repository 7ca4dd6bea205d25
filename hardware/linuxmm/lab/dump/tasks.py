"""Address spaces of tasks: VMAs from the maple tree, page tables, counters.

Linux: mm/mmap.c, include/linux/mm_types.h, kernel/fork.c; 6.1 to 6.12.
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.lab.dump.containers import maple
from linuxmm.lab.dump.names import path_of
from linuxmm.lab.dump.tables import NAMES, format_of, user_tables
from linuxmm.lab.memory import KernelMemory, Struct
from linuxmm.oracle.formats.areas import AddressSpace, Task, TasksState, Vma
from linuxmm.spec.errors import LinuxmmError

_COUNTERS: Final = (
    "total_vm", "locked_vm", "pinned_vm", "data_vm", "exec_vm", "stack_vm", "hiwater_rss", "hiwater_vm",
    "map_count", "pgtables_bytes", "start_code", "end_code", "start_data", "end_data", "start_brk", "brk",
    "start_stack", "arg_start", "arg_end", "env_start", "env_end", "mmap_base", "task_size", "def_flags",
)  # fmt: skip
_MM_COUNTERS: Final = 4
_HUGE: Final = 512


def tasks_state(memory: KernelMemory) -> TasksState:
    """Every user task that leads its thread group.

    Errors    LinuxmmError before 6.1, where VMAs stand in a red-black tree
    """
    if not memory.btf.has("maple_tree"):
        raise LinuxmmError("VMAs are read from maple trees: 6.1 and later")
    tasks = tuple(_task(memory, task) for task in user_tasks(memory))
    return TasksState(NAMES[format_of(memory)], tasks, tuple(_zero_pages(memory)))


def user_tasks(memory: KernelMemory) -> Iterator[Struct]:
    """The task_struct of every thread group that has an address space."""
    link = memory.btf.offset("task_struct", "tasks")
    for at in memory.linked(memory.symbol("init_task") + link):
        task = memory.struct("task_struct", at - link)
        if task.number("mm"):
            yield task


def _task(memory: KernelMemory, task: Struct) -> Task:
    return Task(task.number("pid"), task.text("comm"), _address_space(memory, task))


def _address_space(memory: KernelMemory, task: Struct) -> AddressSpace:
    mm = task.target("mm")
    root = memory.physical(mm.number("pgd"))
    tables = user_tables(memory, root)
    return AddressSpace(
        root=root >> 12,
        vmas=tuple(_vma(memory, found.entry) for found in maple(memory, mm.at("mm_mt"))),
        leaves=tuple(tables.leaves),
        tables=tuple(tables.tables),
        rss=_resident(memory, mm, task),
        counters={name: mm.number(name) for name in _COUNTERS if mm.has(name)},
    )


def _vma(memory: KernelMemory, address: int) -> Vma:
    vma = memory.struct("vm_area_struct", address)
    inode, path = 0, ""
    if vma.number("vm_file"):
        file = vma.target("vm_file")
        inode = file.target("f_inode").number("i_ino")
        path = path_of(memory, file.number("f_path.dentry"))
    return Vma(
        vma.number("vm_start"),
        vma.number("vm_end"),
        vma.number("vm_flags"),
        vma.number("vm_pgoff"),
        vma.number("anon_vma") != 0,
        inode,
        path,
    )


def _resident(memory: KernelMemory, mm: Struct, task: Struct) -> tuple[int, ...]:
    """MM counters: with what threads hold back (before 6.2), or what CPUs hold back (since)."""
    if mm.has("rss_stat.count"):
        held = task.numbers("rss_stat.count") if task.has("rss_stat.count") else (0,) * _MM_COUNTERS
        return tuple(have + more for have, more in zip(mm.numbers("rss_stat.count"), held, strict=True))
    return tuple(_percpu(memory, mm.sub(f"rss_stat[{n}]")) for n in range(mm.count("rss_stat")))


def _percpu(memory: KernelMemory, counter: Struct) -> int:
    total = counter.number("count")
    if not counter.has("counters"):
        return total
    for cpu in memory.cpus:
        raw = memory.read(memory.per_cpu(counter.number("counters"), cpu), 4)
        total += int.from_bytes(raw, "little", signed=True)
    return total


def _zero_pages(memory: KernelMemory) -> Iterator[tuple[int, int]]:
    """Frames of zeros that any address space may map: one page, and one huge page once it was made."""
    if "empty_zero_page" in memory.symbols:
        yield memory.physical(memory.symbol("empty_zero_page")) >> 12, 1
    for name in ("huge_zero_page", "huge_zero_folio"):
        page = memory.variable(name, memory.btf.pointer)
        if page:
            yield memory.pfn(page), _HUGE
