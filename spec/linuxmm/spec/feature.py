"""The rows of the subject: features of Linux MM through its history, and the headline claims made about them.

A row says what the feature is, which releases have it, and where the seed's account differs from the source.
It never says what linuxmm has built of it: that is computed from registrations (`linuxmm.spec.registry`).
"""

from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """What became of a feature in Linux."""

    MAINLINE = "mainline"
    REMOVED = "removed"
    NEVER_MERGED = "never merged"
    STAGING = "staging"
    PARTLY_MERGED = "partly merged"
    BACKGROUND = "background"
    NOT_MM = "not memory management"


class Area(Enum):
    """Rooms of the house; a feature's specification, model, proofs and tests stand under this name."""

    ALLOC = "alloc"
    OBJECTS = "objects"
    LARGE = "large"
    DEFRAG = "defrag"
    VM = "vm"
    RECLAIM = "reclaim"
    CACHE = "cache"
    HUGE = "huge"
    MEMCG = "memcg"
    HOTPLUG = "hotplug"
    TMEM = "tmem"
    PMEM = "pmem"
    DEBUG = "debug"
    DEDUP = "dedup"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Feature:
    """One row.

    id          F001 to F086
    seed        section of the seed that introduces it
    since       first release with it, as the source or the history shows ("" when it never was in one)
    until       last release with it ("" while it lasts)
    observable  where a running kernel shows it ("" when nowhere)
    sources     kernel files, commits or mails that say so
    corrects    where the seed's account differs from the source ("" when it agrees)
    """

    id: str
    area: Area
    seed: str
    title: str
    summary: str
    since: str
    until: str
    status: Status
    observable: str
    sources: tuple[str, ...]
    corrects: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure or an effect that the seed reports for a feature.

    experiment  what is run, before and after, to confirm it or not
    basis       where the claim is known from
    """

    id: str
    seed: str
    statement: str
    experiment: str
    features: tuple[str, ...]
    basis: str
