"""Curves of an experiment as a picture; needs matplotlib (the `docs` extra)."""

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.experiment import Curve

SUFFIXES: Final = (".svg", ".png", ".pdf")
_MARKERS: Final = "osD^vP"


def draw(curves: Sequence[Curve], title: str, suffix: str) -> bytes:
    """The picture, as a file of that suffix holds it; an SVG is the same for the same curves.

    Errors    LinuxmmError without matplotlib, without curves, or for another suffix
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise LinuxmmError("a plot needs matplotlib: pip install 'linuxmm[docs]'")
    if suffix not in SUFFIXES:
        raise LinuxmmError(f"expected a plot file ending in {', '.join(SUFFIXES)}, got {suffix!r}")
    if not curves:
        raise LinuxmmError("the experiment has no curves to plot")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(curve.panel for curve in curves))
    with rc_context({"svg.hashsalt": "linuxmm", "svg.fonttype": "none", "font.size": 9}):
        picture = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
        picture.suptitle(title)
        for number, panel in enumerate(panels, 1):
            axes = picture.add_subplot(1, len(panels), number)
            own = [curve for curve in curves if curve.panel == panel]
            for marker, curve in zip(_MARKERS * len(own), own, strict=False):
                axes.plot(curve.xs, curve.ys, marker=marker, markersize=4, label=curve.label)
            if own[0].log_x:
                axes.set_xscale("log", base=2)
            axes.set(title=panel, xlabel=own[0].x_label, ylabel=own[0].y_label)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)
        held = io.BytesIO()
        picture.savefig(held, format=suffix[1:], metadata={"Date": None} if suffix == ".svg" else None)
    return held.getvalue()


def save(curves: Sequence[Curve], title: str, path: Path) -> None:
    """Write the picture to a file.

    Errors    LinuxmmError as `draw`, or when the file cannot be written
    """
    data = draw(curves, title, path.suffix)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise LinuxmmError(f"{path}: cannot be written: {error.strerror}") from error
