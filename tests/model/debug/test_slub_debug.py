"""Slabs with SLUB debugging: every changed byte is found, put right and told; sound ones are silent."""

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from linuxmm.model.debug.slub import (
    alloc,
    check_object,
    check_slab,
    discard,
    free,
    on_freelist,
    remaining,
    validate,
)
from linuxmm.model.debug.slub_slab import (
    DebugCache,
    DebugSlab,
    Names,
    Track,
    asked_size,
    link,
    new_slab,
    objects_of,
    write,
)
from linuxmm.spec.debug.slub_bytes import Part, overwritten, parts, patterns_hold
from linuxmm.spec.debug.slub_layout import SlubOptions
from linuxmm.spec.debug.slub_words import SHORT_NAMES, aligned_rows, section
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import kernel

BASE = 0xFF11_0000_0000_0000
ALL = SlubOptions(red_zone=True, poison=True, store_user=True)
WHO = Track(0x1234)
VERSIONS = ("6.1", "6.10", "6.12", "6.12.117")
OLD = ("2.6.24", "2.6.28", "3.0", "3.10", "4.4", "4.9", "4.19", "5.4", "5.10", "5.10.228", "5.13", "5.15")
OPTIONS = st.builds(SlubOptions, *[st.booleans()] * 5)


def cache(version: str = "6.1", size: int = 40, options: SlubOptions = ALL, **more: object) -> DebugCache:
    plain = DebugCache(kernel(version), "lab", size, 8, 0, options)
    return plain._replace(**more)  # type: ignore[arg-type]


def fresh(*args: object, **more: object) -> DebugSlab:
    return new_slab(cache(*args, **more), BASE, Names())  # type: ignore[arg-type]


def chain(slab: DebugSlab) -> list[int]:
    found, pointer = [], slab.freelist
    while pointer:
        found.append(pointer)
        pointer = link(slab, pointer)
    return found


# ---- sound slabs -------------------------------------------------------------------------------------------


@given(st.sampled_from(VERSIONS + OLD), st.integers(1, 600), OPTIONS, st.booleans())
@settings(max_examples=90, deadline=None)
def test_a_slab_that_nobody_misused_is_silent(
    version: str, size: int, options: SlubOptions, hardened: bool
) -> None:
    if not cache(version).form.small:
        size = max(size, 8)
        hardened = hardened and version.startswith("5")  # 4.14 and later, the 4.9 and older have none
    secret = 0xDEAD_BEEF_CAFE_F00D
    slab = fresh(version, size, options, hardened=hardened, secret=secret)
    assert chain(slab) == list(objects_of(slab))
    slab, first = alloc(slab, size, WHO)
    slab, second = alloc(slab, max(size - 1, 1), WHO)
    slab = validate(slab)
    slab, done = free(slab, first, WHO)
    slab = validate(slab)
    assert (done, slab.log) == (True, ())
    assert chain(slab)[0] == first
    slab, done = free(slab, second, WHO)
    slab = discard(slab)
    assert (done, slab.log, slab.inuse) == (True, (), 0)


class SlabMachine(RuleBasedStateMachine):
    """Proper use of one slab, with every option."""

    def __init__(self) -> None:
        super().__init__()
        self.slab = fresh("6.12.117", 24, ALL._replace(kmalloc=True))
        self.live: dict[int, int] = {}

    @precondition(lambda self: self.slab.freelist)
    @rule(size=st.integers(1, 24))
    def allocate(self, size: int) -> None:
        self.slab, pointer = alloc(self.slab, size, WHO)
        assert pointer not in self.live
        assert asked_size(self.slab, pointer) == size
        self.live[pointer] = size

    @precondition(lambda self: self.live)
    @rule(data=st.data(), value=st.integers(0, 255))
    def use(self, data: st.DataObject, value: int) -> None:
        pointer = data.draw(st.sampled_from(sorted(self.live)))
        self.slab = write(self.slab, pointer, bytes([value]) * self.live[pointer])

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        pointer = data.draw(st.sampled_from(sorted(self.live)))
        del self.live[pointer]
        self.slab, done = free(self.slab, pointer, WHO)
        assert done

    @invariant()
    def sound(self) -> None:
        checked = validate(self.slab)
        assert checked == self.slab
        assert sorted([*chain(self.slab), *self.live]) == list(objects_of(self.slab))
        assert self.slab.inuse == len(self.live)
        for pointer in objects_of(self.slab):
            slot = self.slab.memory[pointer - BASE - self.slab.cache.layout.object :]
            checked_parts = self.parts_of(pointer)
            assert patterns_hold(slot[: self.slab.cache.layout.size], checked_parts)

    def parts_of(self, pointer: int) -> tuple[Part, ...]:
        c = self.slab.cache
        return parts(
            c.layout, c.options, c.asked, pointer in self.live, self.live.get(pointer, 0), c.padding_breaks
        )


TestSlab = SlabMachine.TestCase
TestSlab.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


# ---- misuse ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS + OLD)
@pytest.mark.parametrize("in_use", [False, True])
def test_every_byte_of_every_part_is_watched(version: str, in_use: bool) -> None:
    slab = fresh(version)
    slab, pointer = alloc(slab, 40, WHO)
    if not in_use:
        slab, _ = free(slab, pointer, WHO)
    layout, c = slab.cache.layout, slab.cache
    watched = parts(layout, c.options, c.asked, in_use, 40, c.padding_breaks)
    covered = {at for part in watched for at in range(part.start, part.start + part.length)}
    slot = pointer - layout.object
    for at in range(layout.size):
        byte = slab.memory[slot - BASE + at]
        changed = write(slab, slot + at, bytes([byte ^ 0x10]))
        after, sound = check_object(changed, pointer, in_use)
        if at in covered:
            assert after.log, at
            assert after.memory == slab.memory, "it is put right"
            part = next(each for each in watched if each.start <= at < each.start + each.length)
            what = part.what if c.dumps.sided else SHORT_NAMES.get(part.what, part.what)
            assert any(f"{what} overwritten" in line for line in after.log)
            assert sound == (not part.breaks)
            assert check_object(after, pointer, in_use) == (after, True)
        elif layout.free_pointer <= at < layout.free_pointer + 8:
            assert (sound, "Freepointer corrupt" in "".join(after.log)) == (False, True)
            assert link(after, pointer) == 0
        else:
            assert (after.log, sound) == ((), True), at
    assert patterns_hold(slab.memory[: layout.size], watched)
    assert not patterns_hold(bytes(layout.size), watched)


@pytest.mark.parametrize(("version", "told"), [("6.1", 1), ("6.12", 3), ("6.12.117", 3)])
def test_since_6_11_one_check_finds_everything(version: str, told: int) -> None:
    slab, pointer = alloc(fresh(version), 40, WHO)
    slab = write(write(slab, pointer - 1, b"\0"), pointer + 40, b"\0")
    slab = write(slab, pointer + 127, b"\0")
    after, sound = check_object(slab, pointer, in_use=True)
    assert not sound
    assert sum(line.startswith("FIX lab: Restoring") for line in after.log) == told
    dumps = sum(line.startswith("Object ") and "@offset" in line for line in after.log)
    assert dumps == (1 if version == "6.12.117" else told)


def test_what_a_kmalloc_did_not_ask_for_is_red_since_6_2() -> None:
    kmalloc = ALL._replace(kmalloc=True)
    for version, noticed in (("6.1", False), ("6.2", True), ("6.12.117", True)):
        slab, pointer = alloc(fresh(version, 40, kmalloc), 33, WHO)
        after, done = free(write(slab, pointer + 33, b"\0"), pointer, WHO)
        assert done != noticed
        assert any("kmalloc Redzone" in line for line in after.log) == noticed


def test_freeing_the_first_free_object_again_loses_the_list_up_to_6_7() -> None:
    for version, left in (("6.1", 1), ("6.8", 30)):
        slab, pointer = alloc(fresh(version), 40, WHO)
        slab, _ = free(slab, pointer, WHO)
        slab, done = free(slab, pointer, WHO)
        assert not done
        assert len(chain(slab)) == left
        checked = validate(slab)
        assert any("Object count adjusted" in line for line in checked.log[len(slab.log) :]) == (left == 1)


def test_an_object_given_to_another_cache_goes_home() -> None:
    slab, pointer = alloc(fresh(), 40, WHO)
    after, done = free(slab, pointer, WHO, to="other")
    assert done
    assert after.log[0] == "cache_from_obj: Wrong slab cache. other but object is from lab"
    assert after.log[2].startswith("Allocated in 0x1234 age=0 cpu=0 pid=1")
    assert chain(after)[0] == pointer


def test_a_slab_that_failed_hands_out_nothing_more() -> None:
    slab, pointer = alloc(fresh(), 40, WHO)
    slab, _ = free(slab, pointer, WHO)
    slab, got = alloc(write(slab, pointer, b"\0"), 40, WHO)
    assert (got, slab.freelist, slab.frozen, slab.inuse) == (0, 0, True, 30)
    with pytest.raises(LinuxmmError, match="no free object"):
        alloc(slab, 40, WHO)
    after, done = free(slab, pointer, WHO)
    assert not done
    assert any("Slab disabled since" in line for line in after.log)


def test_counts_that_disagree_are_adjusted() -> None:
    slab, _ = alloc(fresh(), 40, WHO)
    after, ends = on_freelist(replace(slab, inuse=9), 0)
    assert (ends, after.inuse) == (True, 1)
    assert "Counter is 9 but counted were 1" in "".join(after.log)
    after, ends = on_freelist(replace(slab, objects=29, inuse=0), 0)
    assert (ends, after.objects, after.inuse) == (True, 30, 2), "the last object, unknown before, is lost"
    assert check_slab(replace(slab, inuse=31))[1] is False
    assert check_slab(replace(slab, objects=31))[1] is False


def test_a_free_list_that_leaves_the_slab_is_cut() -> None:
    slab, pointer = alloc(fresh(), 40, WHO)
    second = chain(slab)[1]
    bad = write(slab, second - 8 + slab.cache.layout.free_pointer, b"\x01" * 8)
    after, ends = on_freelist(bad, 0)
    assert ends
    assert [*chain(after)] == [pointer + 136, second]
    assert "Freechain corrupt" in "".join(after.log)
    after, ends = on_freelist(replace(slab, freelist=BASE + 3), 0)
    assert (ends, after.freelist, after.inuse) == (False, 0, 30)


@pytest.mark.parametrize("version", ["6.1", "6.12.117"])
def test_the_rest_of_a_slab_is_watched_too(version: str) -> None:
    slab = fresh(version)
    after, sound = check_slab(write(slab, BASE + 4090, b"\0\0"))
    assert sound
    assert after.memory == slab.memory
    assert "Padding overwritten" in "".join(after.log)
    assert "Restoring slab padding" in after.log[-1]


def test_objects_left_at_the_end_are_listed() -> None:
    for version, message in (("6.1", "Objects remaining in lab on"), ("6.12.117", "Objects remaining on")):
        slab, pointer = alloc(fresh(version), 40, WHO)
        after = remaining(slab)
        assert message in "".join(after.log)
        listed = [line for line in after.log if line.startswith("Object ")]
        assert [line.split()[1] for line in listed] == [f"{pointer:#x}"]


def test_without_checks_nothing_is_said() -> None:
    slab, pointer = alloc(fresh(checks=False), 40, WHO)
    slab, done = free(write(slab, pointer + 40, b"\0"), pointer, WHO)
    assert (done, slab.log) == (True, ())


def test_an_address_outside_is_an_error() -> None:
    with pytest.raises(LinuxmmError, match="is not in the slab"):
        write(fresh(), BASE - 1, b"\0")


# ---- words -------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=70), st.integers(0, 255))
def test_the_ends_of_what_differs_differ(memory: bytes, value: int) -> None:
    part = Part("Poison", 0, len(memory), value)
    found = overwritten(memory, (part,))
    if not found:
        assert set(memory) == {value}
        return
    first, end = found[0].first, found[0].end
    assert memory[first] != value != memory[end - 1]
    assert set(memory[:first]) | set(memory[end:]) <= {value}


def test_a_dump_shows_sixteen_bytes_a_line() -> None:
    show = partial(section, "Object", 0xFF11_0000_03CC_F008)
    assert show(b"k" * 15 + b"\xa5" + b"Z", aligned_rows()) == (
        "Object   ff11000003ccf008: 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b a5  kkkkkkkkkkkkkkk.",
        "Object   ff11000003ccf018: 5a                                               Z",
    )
