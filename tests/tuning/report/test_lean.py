"""Optuna's plots without scikit-learn and matplotlib. MLflow brings both, so they are installed here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CODE = """
import sys
import optuna
from tuning.report import figures, lean
from tuning.study.trials import RAY_ID

{first}
study = optuna.create_study(direction="maximize")
for number in range(6):
    trial = study.ask({{"x": optuna.distributions.FloatDistribution(0, 1)}})
    trial.set_user_attr(RAY_ID, str(number))
    study.tell(trial, trial.params["x"])
assert figures.importances(study, "ndcg@10").data
assert figures.parallel_coordinates(study, "ndcg@10").data
print(*sorted({{"sklearn", "matplotlib"}} & set(sys.modules)))
import sklearn.tree, matplotlib.figure
"""


def imported(first: str) -> list[str]:
    """Run a process that draws the plots; return which of the two libraries it imported for them."""
    code = CODE.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_optuna_would_import_both_for_the_same_plots():
    """If this fails, Optuna has become lean by itself, and `tuning.report.lean` can go."""
    assert imported("") == ["matplotlib", "sklearn"]


def test_the_plots_need_neither_and_both_can_be_imported_later():
    assert imported("lean.import_plots()") == []


def test_what_is_imported_already_stays():
    assert imported("import sklearn, matplotlib; lean.import_plots()") == ["matplotlib", "sklearn"]
