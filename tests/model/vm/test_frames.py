"""Address spaces live on the page allocator's model: frames are taken, and all come back."""

from dataclasses import replace

from linuxmm.hardware.memory import Range, physical_memory
from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.vm.examples import AREAS, find_in
from linuxmm.model.vm.frames import AllocatorFrames
from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.state import Pages
from linuxmm.oracle.pc import boot_pc
from linuxmm.spec.alloc.gfp import GFP_KERNEL
from linuxmm.spec.alloc.request import request
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.x86_format import X86_64

PAGE = 4096


def test_frames_come_from_the_zones_and_go_back() -> None:
    booted = boot_pc(kernel("6.1"), 16)
    frames = AllocatorFrames(booted.rules, booted.machine, request(0, GFP_KERNEL, cpu=0, node=0))
    free = sum(zone.nr_free for zone in booted.machine.zones)
    memory = physical_memory((Range(0, 16 << 20),))
    layer = TableLayer(page_rules(kernel("6.1")), Pages(X86_64, memory, frames, zero=0))
    layer = layer.write(1, lambda address: find_in(AREAS, address), 0x10000, b"x" * 3 * PAGE)[0]
    used = layer.pages.frames
    assert isinstance(used, AllocatorFrames)
    assert len(layer.pages.pages) == 3
    assert layer.pages.tables == 4
    for frame in layer.pages.pages:
        assert any(zone.start <= frame < zone.end for zone in booted.machine.zones)
    back = layer.drop(1).pages.frames
    assert isinstance(back, AllocatorFrames)
    held = sum(zone.nr_free + len(zone.cached) for zone in back.machine.zones)
    assert held >= free
    for zone in back.machine.zones:
        assert not set(layer.pages.pages) & set(zone.in_use)


def test_without_frames_there_is_nothing() -> None:
    booted = boot_pc(kernel("6.1"), 16)
    machine = replace(
        booted.machine, zones=tuple(replace(zone, watermark=(1 << 30,) * 3) for zone in booted.machine.zones)
    )
    frames = AllocatorFrames(booted.rules, machine, request(0, GFP_KERNEL, cpu=0, node=0))
    assert frames.take()[1] == NOTHING
