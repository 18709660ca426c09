"""A simulation with actors: a forest in which fires break out, cut into strips, each the state of one actor.

    python -m examples.forest_fire [--size N] [--strips N] [--steps N] [--plot FILE]

Each step, a strip needs the border rows of its neighbours. They pass from actor to actor as references, so the program
only says who needs what, and all steps are under way before it waits for the last. The same seed gives the same forest
with any number of strips: each row draws from a generator of its own.
"""

import argparse
from pathlib import Path

import numpy as np

import ray_async as ray

__all__ = ("Strip", "main", "simulate")

BARE, TREE, FIRE = range(3)
GROWTH, LIGHTNING = 0.02, 0.0002


@ray.remote(num_cpus=0.5)
class Strip:
    """Rows of the forest.

    Args:
        rows: The numbers of its rows.
        width: Cells of a row.
        seed: Of the whole forest.
    """

    def __init__(self, rows: range, width: int, seed: int) -> None:
        self.draws = [np.random.default_rng((seed, row)) for row in rows]
        self.cells = np.array([draw.choice(3, width, p=[0.4, 0.599, 0.001]) for draw in self.draws], dtype=np.int8)

    def step(self, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Burn, spread, grow; gives the new first and last row, and how many cells are bare, trees, on fire."""
        around = np.vstack([above, self.cells, below]) == FIRE
        sides = np.pad(around[1:-1], ((0, 0), (1, 1)))
        near = around[:-2] | around[2:] | sides[:, :-2] | sides[:, 2:]
        chance = np.array([draw.random(self.cells.shape[1]) for draw in self.draws])
        trees, bare = self.cells == TREE, self.cells == BARE
        after = np.full_like(self.cells, BARE)
        after[trees] = TREE
        after[trees & (near | (chance < LIGHTNING))] = FIRE
        after[bare & (chance < GROWTH)] = TREE
        self.cells = after
        return after[0], after[-1], np.bincount(after.ravel(), minlength=3)

    def borders(self) -> tuple[np.ndarray, np.ndarray]:
        """The first and the last row."""
        return self.cells[0], self.cells[-1]

    def state(self) -> np.ndarray:
        """All cells."""
        return self.cells


def simulate(size: int, strips: int, steps: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Let a forest grow and burn.

    Args:
        size: Cells of a side.
        strips: How many actors share it.
        steps: How long.
        seed: Of what happens.

    Returns:
        The cells at the end, shape (size, size), and the cells of each kind after each step, shape (steps, 3).
    """
    parts = [range(part[0], part[-1] + 1) for part in np.array_split(np.arange(size), strips)]
    actors = [Strip.remote(part, size, seed) for part in parts]
    nothing = ray.put(np.full(size, BARE, dtype=np.int8))  # beyond the edge of the forest
    borders = [actor.borders.options(num_returns=2).remote() for actor in actors]
    counts = []
    for _ in range(steps):
        firsts, lasts = [first for first, _ in borders], [last for _, last in borders]
        results = [
            actor.step.options(num_returns=3).remote(above, below)
            for actor, above, below in zip(actors, [nothing, *lasts[:-1]], [*firsts[1:], nothing], strict=True)
        ]
        borders = [(first, last) for first, last, _ in results]
        counts.append([count for *_, count in results])
    sums = np.array([np.sum(ray.get(step), axis=0) for step in counts])
    return np.vstack(ray.get([actor.state.remote() for actor in actors])), sums


def draw(cells: np.ndarray, counts: np.ndarray, path: Path) -> None:
    """The forest at the end, and trees and fires over time."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    forest, axes = figure.subplots(1, 2)
    forest.imshow(
        cells, cmap=ListedColormap(["#e8dcc8", "#3f7d4e", "#d9442b"]), vmin=0, vmax=2, interpolation="nearest"
    )
    forest.set_axis_off()
    axes.plot(counts[:, TREE] / cells.size, color="#3f7d4e", label="trees")
    axes.plot(counts[:, FIRE] / cells.size * 10, color="#d9442b", label="on fire, times ten")
    axes.set_xlabel("step")
    axes.set_ylabel("share of the cells")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Simulate, and say what was."""
    parser = argparse.ArgumentParser(description="A forest fire, simulated by actors.")
    parser.add_argument("--size", type=int, default=300, help="cells of a side (300)")
    parser.add_argument("--strips", type=int, default=4, help="actors (4)")
    parser.add_argument("--steps", type=int, default=300, help="how long (300)")
    parser.add_argument("--plot", type=Path, help="where to draw the forest, with matplotlib")
    options = parser.parse_args()
    ray.init()
    cells, counts = simulate(options.size, options.strips, options.steps)
    burnt = int(counts[:, FIRE].sum())
    print(f"{options.steps} steps of {cells.size} cells: {burnt} trees burnt, {int((cells == TREE).sum())} stand")
    if options.plot is not None:
        draw(cells, counts, options.plot)
    ray.shutdown()


if __name__ == "__main__":
    main()
