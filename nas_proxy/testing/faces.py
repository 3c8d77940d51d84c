"""What the face of a search in any host must do: run each of ``CHECKS`` with a function that makes yours.

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_face(check, tmp_path):
        check(lambda seed: MyFace(seed, tmp_path))

A face is compared with the engine that it stands for, so that what is true of the engine (limits hold, nothing is
proposed twice, results are learnt from) is true of the face.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from nas_proxy.search import SearchEngine

__all__ = ["CHECKS", "Face", "MakeFace"]

_TRIALS = 7


class Face(ABC):
    """One search inside a host, driven as the host drives it. Architectures are canonical texts."""

    @abstractmethod
    def engine(self) -> SearchEngine:
        """A fresh engine of the same space, latency models, limits (one at least) and seed."""

    @abstractmethod
    def propose(self) -> str | None:
        """Start a trial; the architecture it is to evaluate, None once there is none."""

    @abstractmethod
    def report(self, arch: str, accuracy: float) -> None:
        """The trial of ``arch`` ends with this."""

    @abstractmethod
    def fail(self, arch: str) -> None:
        """The trial of ``arch`` ends with an error."""

    @abstractmethod
    def revived(self) -> Face:
        """The same search after its process died, as the host brings it back. Trials that were running are lost."""


#: Makes a face of a given seed, always of the same search else, in a place of its own.
MakeFace = Callable[[int], Face]


def check_proposals_are_the_engines(make: MakeFace) -> None:
    """They keep the limits, never repeat, and follow from the results, failures among them, as the engine's do."""
    face = make(0)
    engine = face.engine()
    proposed = []
    for trial in range(_TRIALS):
        arch = _proposed(face)
        expected = engine.ask()
        assert arch == engine.space.to_str(expected.arch), f"proposal {trial} is not the engine's"
        assert all(expected.latency_ms[name] <= limit for name, limit in engine.targets.limits_ms.items())
        if trial == 1:
            face.fail(arch)
            engine.tell_failed(expected.arch)
        else:
            face.report(arch, _accuracy(arch))
            engine.tell(expected.arch, _accuracy(arch))
        proposed.append(arch)
    assert engine.targets.limits_ms, "give the face's search a limit"
    assert len(set(proposed)) == _TRIALS


def check_results_decide(make: MakeFace) -> None:
    """With the opposite results, other architectures are proposed: results reach the search, with the right sign."""
    usual, opposite = make(0), make(0)
    assert _run(usual, _TRIALS) != _run(opposite, _TRIALS, sign=-1)


def check_same_seed_same_proposals(make: MakeFace) -> None:
    assert _run(make(3), _TRIALS) == _run(make(3), _TRIALS)
    assert _run(make(3), _TRIALS) != _run(make(4), _TRIALS), "the seed is not used"


def check_several_at_once(make: MakeFace) -> None:
    """Trials run side by side and end in any order."""
    face = make(0)
    running = [_proposed(face) for _ in range(4)]
    assert len(set(running)) == len(running), "a candidate was proposed while it was being evaluated"
    for arch in reversed(running):
        face.report(arch, _accuracy(arch))
    assert _proposed(face) not in running


def check_failures_end_no_search(make: MakeFace) -> None:
    """Errors and accuracies that are no finite number count as failures of their trials alone."""
    face = make(0)
    failed = [_proposed(face) for _ in range(3)]
    face.fail(failed[0])
    face.report(failed[1], math.nan)
    face.report(failed[2], 1.0)
    assert not set(_run(face, 3)) & set(failed)


def check_goes_on_after_a_crash(make: MakeFace) -> None:
    """What was finished is known and not proposed again; what was running is not lost; the rest follows as it would."""
    whole, face = make(0), make(0)
    expected = _run(whole, _TRIALS)
    done = _run(face, 4)
    running = _proposed(face)
    face = face.revived()
    if (following := _proposed(face)) != running:  # the host runs it again by itself
        face.report(running, _accuracy(running))
        assert following not in done
        return
    face.report(running, _accuracy(running))
    assert [*done, running, *_run(face, _TRIALS - 5)] == expected


CHECKS: Sequence[Callable[[MakeFace], None]] = (
    check_proposals_are_the_engines,
    check_results_decide,
    check_same_seed_same_proposals,
    check_several_at_once,
    check_failures_end_no_search,
    check_goes_on_after_a_crash,
)


def _proposed(face: Face) -> str:
    arch = face.propose()
    assert arch is not None, "nothing was proposed, though the space has candidates left"
    return arch


def _run(face: Face, trials: int, sign: int = 1) -> list[str]:
    """Trials one after the other; what was evaluated."""
    archs = []
    for _ in range(trials):
        archs.append(_proposed(face))
        face.report(archs[-1], sign * _accuracy(archs[-1]))
    return archs


def _accuracy(arch: str) -> float:
    """Any function of the text will do: this one is the same on every machine."""
    return float(sum(weight * ord(letter) for weight, letter in enumerate(arch)) % 97)
