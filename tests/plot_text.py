"""What the tests of figures read from a drawn figure: every text, where it stands, what it meets."""

from itertools import combinations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bayespip.effects import EffectSizes

SIZES = ((85, 110), (174, 120), (120, 160))  # millimetres: a journal's column, its page, and neither


def room(size):
    """Axes over nearly the whole of a figure of that size, in millimetres."""
    return Figure(figsize=(size[0] / 25.4, size[1] / 25.4)).add_axes((0.02, 0.02, 0.96, 0.96))


def simulated(k, measure="RR", *, long=False, extreme=False):
    """Simulated effects of k studies; the last is far away from the others if extreme."""
    rng = np.random.default_rng(k)
    sei = rng.uniform(0.1, 0.7, k)
    yi = rng.normal(-0.3, np.hypot(0.3, sei))
    if extreme:
        yi[-1], sei[-1] = 6.0, 3.0
    tail = " and the invented collaborators of the simulated $\\frac$ trial group, second report" if long else ""
    return EffectSizes([f"Simulated {i + 1}{tail if i % 5 == 0 else ''}" for i in range(k)], yi, sei, measure)


def boxes(ax, dpi=150):
    """Every text that is shown in the figure, and where it stands, in pixels."""
    figure = ax.get_figure(root=True)
    figure.set_dpi(dpi)
    FigureCanvasAgg(figure).draw()
    found = []
    for one in [a for top in figure.axes for a in (top, *top.child_axes)]:
        found += one.texts
        for axis, shown in ((one.xaxis, one.get_xlim()), (one.yaxis, one.get_ylim())):
            found.append(axis.label)
            ends = sorted(shown)
            for tick in axis.get_major_ticks():
                if ends[0] <= tick.get_loc() <= ends[1]:
                    found += [text for text in (tick.label1, tick.label2) if text.get_visible()]
        legend = one.get_legend()
        found += legend.get_texts() if legend else []
    return [(text.get_text(), text.get_window_extent()) for text in found if text.get_text().strip()]


def misplaced(ax, dpi=150):
    """Texts that leave the figure, and pairs of texts that meet."""
    found = boxes(ax, dpi)
    width, height = ax.get_figure(root=True).canvas.get_width_height()
    outside = [t for t, b in found if b.x0 < -1 or b.y0 < -1 or b.x1 > width + 1 or b.y1 > height + 1]
    return outside, [(a, b) for (a, one), (b, other) in combinations(found, 2) if _meet(one, other)]


def _meet(one, other):
    # a pixel, because glyphs are set on whole ones
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > 1 and down > 1
