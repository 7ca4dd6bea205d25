"""The rules of reclaim of a kernel, composed from the registered behaviours.

Linux: mm/vmscan.c, mm/swap.c, mm/workingset.c.  Seed 2.4 (F042 to F046).  2.4.0 to 2.4.9, 2.4.14 to
2.4.37, and 2.6 on.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from linuxmm.model.reclaim import ages as aged_lists
from linuxmm.model.reclaim import reclaimers, shrink_2_4, shrink_2_4_0, writing
from linuxmm.model.reclaim.rules import Rules
from linuxmm.spec.errors import ImpossibleProfile, Unmodelled
from linuxmm.spec.kernel import Kernel, Version, behaviours
from linuxmm.spec.reclaim import (
    ages,
    amounts,
    daemon,
    generation_eras,
    generation_rules,
    inactive,
    lists,
    references,
    scan_2_4,
    scan_two_lists,
    shares,
    shrinker,
    workingset,
)

OLDEST = Version(2, 4, 14)
LAST_AGED = Version(2, 4, 9)
AGES_ASKED = Version(2, 4, 7)
"""The last release in which a page's age decides whether it becomes inactive."""
NEWEST_2_4 = Version(2, 4, 37)
REFILLS_AGAIN = Version(2, 4, 23)
TWO_LISTS_OF_ZONES = Version(2, 6, 0)
GENERATIONS = Version(6, 1)
"""The first release with lists by generation."""


@lru_cache(maxsize=64)
def rules_for(kernel: Kernel, batches: bool = True, node_shift: int = 10, generations: bool = False) -> Rules:
    """The rules of a kernel.

    batches     whether pages wait on a CPU's batch before they get on a list
    node_shift  NODES_SHIFT of the configuration
    generations CONFIG_LRU_GEN: lists by generation may be switched on (`gen_switch.switch`)
    Errors    Unmodelled for 2.4.10 to 2.4.13 and for 2.5;
              ImpossibleProfile for generations before 6.1
    """
    version = kernel.version
    if LAST_AGED < version < OLDEST or NEWEST_2_4 < version < TWO_LISTS_OF_ZONES:
        raise Unmodelled(
            f"reclaim of kernel {version}: described are 2.4.0 to 2.4.9, 2.4.14 to 2.4.37, and 2.6 on"
        )
    if generations and version.branch < GENERATIONS:
        raise ImpossibleProfile(f"kernel {version}: lists by generation were merged in 6.1")
    old = version <= NEWEST_2_4
    aged = version <= LAST_AGED
    settle = version <= AGES_ASKED
    unused_start = references.anon_starts_inactive if aged else references.anon_starts_active

    def rule(name: str, unused: Callable[..., Any]) -> Any:
        own = [b for b in behaviours() if b.rule == f"reclaim.{name}"]
        inside = min(b.since for b in own) <= kernel.version.branch <= max(b.until for b in own).branch
        return kernel.behaviour(f"reclaim.{name}").function if inside else unused

    branch = kernel.version.branch
    split = branch >= Version(2, 6, 28)
    return Rules(
        split=split,
        nodes=branch >= Version(4, 8),
        batch=rule("batch", lists.batch_of_14)() if batches and not old else 0,
        list_of=aged_lists.list_of_three if aged else lists.list_of if split else lists.list_of_two,
        starts_active=file_starts_active if settle else rule("starts-active", unused_start),
        mark=rule("mark-accessed", references.mark_two_lists),
        check=rule("check-references", references.check_referenced_in_use),
        keeps_active=rule("keeps-active", references.keeps_none),
        on_writeback=rule("on-writeback", writing.keeps_under_writeback),
        dirty_waits=rule("dirty-waits", writing.dirty_is_written),
        tendency=rule("swap-tendency", scan_two_lists.tendency_of_past),
        near_oom=rule("near-oom", scan_two_lists.never_near_oom),
        shares=rule("shares", shares.shares_in_per_cent),
        rounding=rule("rounding", amounts.rounded_down),
        whole=rule("whole-list", amounts.whole_never),
        least=rule("least", amounts.least_none),
        batches=branch < Version(3, 0),
        anon_low=rule("anon-is-low", inactive.anon_is_low_always_asked),
        file_low=rule("file-is-low", inactive.file_is_low_always),
        ratio=rule("inactive-ratio", inactive.ratio_of_zone),
        adjusts=branch >= Version(3, 11),
        cost=rule("cost", cost_of_nothing),
        shadows=branch >= Version(3, 15),
        layout=rule("shadow-layout", workingset.layout_of_zone)(64, node_shift, 3, 16),
        eviction_time=rule("eviction-time", workingset.time_after_eviction),
        putback_ages=rule("putback-ages", workingset.putback_keeps_time),
        workingset_size=rule("workingset-size", workingset.size_of_active_file),
        shadows_anon=rule("shadows-anon", workingset.anon_leaves_none),
        deactivated_is_workingset=branch >= Version(4, 20),
        mlock_counts=branch >= Version(5, 18),
        lazyfree=branch >= Version(4, 12),
        lazyfree_stays=Version(4, 5) <= branch < Version(4, 12),
        rotates_active=branch >= Version(4, 12),
        shares_see_refaults=branch >= Version(5, 3),
        balanced=rule("node-balanced", daemon.balanced_everywhere),
        too_many_isolated=rule("too-many-isolated", never_too_many),
        quota=rule("shrinker-quota", shrinker.quota_unlimited),
        goes_on=rule("shrinker-goes-on", shrinker.goes_on_in_batches),
        deferred=rule("shrinker-deferred", shrinker.deferred_rest),
        direct=(shrink_2_4_0 if aged else shrink_2_4 if old else reclaimers).direct_reclaim,
        daemon=(shrink_2_4_0 if aged else shrink_2_4 if old else reclaimers).kswapd,
        marks_anon=old and not aged,
        free_pages=shrink_2_4.free_by_passes if branch >= REFILLS_AGAIN else shrink_2_4.free_by_priority,
        refill_amount=rule("refill-amount", scan_2_4.refill_by_ratio),
        cache_scan=rule("cache-scan", scan_2_4.scan_by_ratio),
        mapped_room=rule("mapped-room", scan_2_4.room_by_ratio),
        refills_again=branch >= REFILLS_AGAIN,
        aged=aged,
        use=rule("aged.uses", no_ages)(),
        ages_settle=aged and settle,
        settles=rule("aged.settles", ages.settles_at_once),
        free_short=rule("aged.free-short", ages.free_short_of_high),
        inactive_short=rule("aged.inactive-short", ages.inactive_short_anywhere),
        moves_down=shrink_2_4_0.move_down if aged and settle else shrink_2_4_0.move_down_in_parts,
        generations=generations,
        plan=rule("gen-plan", generation_rules.plan_then_scan),
        stops=rule("gen-stops", generation_rules.stops_when_safe),
        first_priority=rule("gen-first-priority", generation_rules.first_priority_given),
        pass_swappiness=rule("gen-swaps-one", generation_eras.swappiness_or_none),
        daemon_ages=rule("gen-age-in-daemon", generation_eras.daemon_ages_between)(),
        old_enough=rule("gen-old-enough", generation_rules.old_at_ttl),
        hot_forgets=rule("gen-hot-forgets", generation_eras.hot_keeps_uses)(),
        dirty_sorted=rule("gen-dirty-waits", generation_eras.dirty_is_judged)(),
        counts_every_return=rule("gen-counts-return", generation_eras.counts_recent_returns)(),
        files_without_io=rule("gen-files-without-io", generation_eras.rates_choose_without_io)(),
        marks_itself=rule("gen-marks-itself", generation_eras.look_spares_itself)(),
        many_neighbours=rule("gen-neighbours", generation_eras.each_is_moved),
        gen_tells=rule("gen-tells", generation_eras.tells_nothing)(),
    )


def cost_of_nothing(io: int, rotated: int) -> int:
    """Before 5.8 nothing is noted of cost."""
    return 0


def file_starts_active(anon: bool) -> bool:
    """Up to 2.4.7 a page of a file starts active, and anonymous memory on no list."""
    return not anon


def no_ages() -> int:
    """From 2.4.14 on pages have no ages."""
    return ages.NO_AGES


def never_too_many(inactive: int, isolated: int, may_do_io: bool) -> bool:
    """Before 2.6.32 nobody waits for isolated pages."""
    return False
