"""`dragonkit bench tune`: search the settings and weights that suit a mode and a model, and compare them on scenes not searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import fmean
from typing import Any, Literal, get_args, get_origin

from dragonkit.bench.outcomes import FIRST_SEED, done, inverted
from dragonkit.bench.reports.statistics import Interval, interval, paired
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.tasks.parts import Task
from dragonkit.bench.workers import fresh_editor, loaded, workers
from dragonkit.editing.editor import Editor
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.plugins.registry import get_registry
from dragonkit.words import closest

__all__ = ["MODES", "TUNING_SEED", "Candidate", "Tuned", "tune"]

MODES: Mapping[str, tuple[str, ...]] = {
    "move": ("move", "move-resize"),
    "resize": ("resize",),
    "remove": ("remove",),
    "appearance": ("appearance",),
    "drag": ("drag", "drag-rigid"),
    "paste": ("paste",),
    "rotate": ("rotate",),
    "region": ("region",),
}
"""The tasks that a mode is tuned on."""
TUNING_SEED = 2 * FIRST_SEED
"""Where the scenes that are searched on begin: neither the model nor the benchmark has seen them."""
PRICE = 0.1
"""dB that a plain generation's worth of UNet calls must bring: between settings that are alike, the cheaper ones are better."""
RUNG = 2
"""After so many scenes, a candidate below the median of the others is given up."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Candidate:
    """Settings on top of the model's, and fields of the edit on top of the task's."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        best: the best candidate on the scenes searched; empty where nothing beat the defaults there.
        trials: how many were tried, those given up early among them.
        default, tuned: PSNR in dB where the answer differs, on scenes that the search has not seen.
        difference: tuned - default on the same scenes.
        evaluations: mean UNet calls of an edit, with the defaults and tuned.
    """

    mode: str
    best: Candidate
    trials: int
    default: Interval
    tuned: Interval
    difference: Interval
    evaluations: tuple[float, float]

    @property
    def adopt(self) -> bool:
        """Whether it is better beyond the interval."""
        return self.difference.low > 0


def tune(
    mode: str,
    trials: int = 60,
    n: int = 8,
    fresh: int = 20,
    seed: int = 0,
    model: str = "toybox",
    jobs: int = 1,
    progress: Progress | None = None,
) -> Tuned:
    """Search with Optuna's tree-structured Parzen estimator on scenes of their own, and compare with the defaults on fresh ones.

    Args:
        mode: one of `MODES`.
        n: scenes of each of the mode's tasks that a candidate is tried on.
        fresh: scenes of each for the comparison: those of `dragonkit bench toybox`.
        seed: of the search; the same one finds the same.
        jobs: processes; the outcome does not depend on it.

    Raises:
        EditError: there is no such mode, it is not installed, or Optuna is not.
    """
    optuna = _optuna()
    if mode not in MODES:
        raise EditError(f"there is nothing to tune {mode!r} on.{closest(mode, list(MODES))} There are: {', '.join(MODES)}.")
    edit_type = _edit_type(mode)
    searched, unseen = _scenes(mode, TUNING_SEED, n), _scenes(mode, FIRST_SEED, fresh)
    rung = RUNG * len(MODES[mode])
    with workers(jobs) as pool:

        def objective(trial: Any) -> float:
            candidate, values = suggest(trial, edit_type), list[float]()
            for part in (searched[:rung], searched[rung:]):
                values += [psnr - _price(calls, model) for psnr, calls in _scores(pool, part, candidate, model)]
                if len(values) < len(searched):
                    trial.report(fmean(values), len(values))
                    if trial.should_prune():
                        raise optuna.TrialPruned
            return fmean(values)

        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(1, trials // 4))
        study = optuna.create_study(direction="maximize", sampler=sampler, pruner=optuna.pruners.MedianPruner(n_startup_trials=5))
        study.enqueue_trial({"change": False})  # the defaults: what wins must beat them
        for number in range(trials):
            study.optimize(objective, n_trials=1)
            if progress is not None:
                progress(number + 1, trials)
        best = suggest(optuna.trial.FixedTrial(study.best_params), edit_type)
        before, after = (_scores(pool, unseen, candidate, model) for candidate in (Candidate(), best))
    default, tuned = ([psnr for psnr, _ in scores] for scores in (before, after))
    calls = (fmean(calls for _, calls in before), fmean(calls for _, calls in after))
    return Tuned(mode, best, trials, interval(default), interval(tuned), paired(tuned, default), calls)


def _edit_type(mode: str) -> type[Edit]:
    types = get_registry().edit_types()
    if mode not in types:
        raise EditError(f"the mode {mode!r} is not installed; install its plugin first: pip install ./plugins/dragonkit-{mode}")
    return types[mode]


def suggest(trial: Any, edit_type: type[Edit]) -> Candidate:
    """A point of the search: engine settings, when the energies guide, the mode's weights and what it starts from.

    `change` switches all of it off, which are the defaults.

    Args:
        trial: of Optuna.
    """
    if not trial.suggest_categorical("change", [True, False]):
        return Candidate()
    start = trial.suggest_float("span.start", 0.0, 0.9, step=0.1)
    schedule: dict[str, Any] = {
        "span": (start, max(start, trial.suggest_float("span.stop", 0.1, 1.0, step=0.1))),
        "every": trial.suggest_int("every", 1, 3),
        "regional": trial.suggest_categorical("regional", [False, True]),
    }
    attention = trial.suggest_float("attention.start", 0.0, 1.0, step=0.1)
    settings = {
        "hold": trial.suggest_float("hold", 0.0, 1.0, step=0.1),
        "hold_vacated": trial.suggest_float("hold_vacated", 0.0, 1.0, step=0.1),
        "energy_scale": round(trial.suggest_float("energy_scale", 0.002, 0.1, log=True), 4),
        "guidance_scale": trial.suggest_categorical("guidance_scale", [1.0, 2.0, 4.0]),
        "layers": tuple(int(block) for block in trial.suggest_categorical("layers", ["1", "2", "12", "23", "123"])),
        "schedule": {**schedule, "attention": (attention, 1.0)},
    }
    fields: dict[str, Any] = {}
    for name, info in edit_type.model_fields.items():
        if name.endswith("_weight"):
            fields[name] = round(info.default * trial.suggest_float(name, 0.25, 4.0, log=True), 2)
        elif get_origin(info.annotation) is Literal:
            fields[name] = trial.suggest_categorical(name, list(get_args(info.annotation)))
    return Candidate(settings, fields)


def _scenes(mode: str, first: int, count: int) -> list[tuple[str, int]]:
    """Tasks and seeds, the mode's tasks in turn."""
    return [(task, first + number) for number in range(count) for task in MODES[mode]]


def _scores(pool: Executor | None, jobs: Sequence[tuple[str, int]], candidate: Candidate, model: str) -> list[tuple[float, float]]:
    """PSNR and UNet calls, by task and seed."""
    asked = [(*job, candidate, model) for job in jobs]
    return list(map(_score, asked)) if pool is None else list(pool.map(_score, asked))


def _score(job: tuple[str, int, Candidate, str]) -> tuple[float, float]:
    name, seed, candidate, model = job
    task, editor = _prepared(name, seed, model)
    mine = replace(task, edits=tuple((mode, {**fields, **candidate.fields}) for mode, fields in task.edits))
    editor.forget()  # every candidate pays for what it looks up
    outcome = done(editor, mine, Settings(**candidate.settings), inverted(editor, task))
    return outcome.figures.changed, float(outcome.evaluations)


@lru_cache(maxsize=256)  # of this process: a scene is inverted once for all candidates
def _prepared(name: str, seed: int, model: str) -> tuple[Task, Editor]:
    editor = fresh_editor(model)
    task = TASKS[name](seed, editor.backbone.model_size)
    inverted(editor, task)
    return task, editor


def _price(calls: float, model: str) -> float:
    return PRICE * calls / loaded(model).settings().steps


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise EditError("tuning needs Optuna, which is not installed; run: pip install 'dragonkit[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
