"""The benchmark of quality: its functions, its bands, and one small run of all contenders."""

from pathlib import Path

import numpy as np
import pytest

from bench.tune.quality.bands import band, best_so_far, paired
from bench.tune.quality.cli import main
from bench.tune.quality.functions import BRANIN_MINIMUM, HARTMANN6_MINIMUM, branin, hartmann6


def test_the_functions_have_their_known_minima() -> None:
    for x, y in ((-np.pi, 12.275), (np.pi, 2.275), (9.42478, 2.475)):
        assert branin([(x + 5) / 15, y / 15]) == pytest.approx(BRANIN_MINIMUM, abs=1e-5)
    lowest = [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]
    assert hartmann6(lowest) == pytest.approx(HARTMANN6_MINIMUM, abs=1e-5)


def test_best_so_far_and_bands() -> None:
    assert best_so_far([3, 5, 2, 1], 3) == [3, 3, 2] and best_so_far([3, 1], 4) == [3, 1, 1, 1]
    found = band([[1.0, 2.0], [3.0, 2.0]])
    assert found.mean.tolist() == [2, 2] and found.low.tolist() == [1, 2] and found.high.tolist() == [3, 2]
    mean, low, high = paired([1.0, 2.0, 3.0], [1.5, 2.5, 3.5])
    assert (mean, low, high) == (-0.5, -0.5, -0.5)


@pytest.mark.keeps_resources  # matplotlib keeps its fonts open
def test_all_contenders_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.tune.quality.cli.TRIALS", 6)
    monkeypatch.setattr("bench.tune.quality.cli.WHOLE", 1)
    monkeypatch.setattr("bench.tune.quality.population.STEPS", 10)
    main(["--seeds", "2", "--only", "branin,pbt", "--plots", str(tmp_path)])
    printed = capsys.readouterr().out
    for name in ("ASHAScheduler", "HyperbandPruner", "MedianStoppingRule", "PopulationBasedTraining", "constant h"):
        assert name in printed
    assert {path.name for path in tmp_path.iterdir()} == {"tune_quality.png", "tune_quality_pbt.png"}
