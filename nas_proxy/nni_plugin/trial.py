"""One trial: evaluate the candidate that the tuner proposed and report its accuracy to NNI.

Exactly one of ``--train digits`` (train on scikit-learn's digits), ``--table`` (look up a published accuracy) and
``--evaluator module:function`` (your own function, from a :class:`Candidate` to a number, the higher the better) says
how. A trial that cannot tell an accuracy ends with a traceback and a code other than 0; the search goes on without it.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import filelock

from nas_proxy.errors import InputError, NasProxyError
from nas_proxy.files import write_json
from nas_proxy.nni_plugin.candidate import Candidate, as_metric
from nas_proxy.search.accuracy import as_accuracy

__all__ = ["Evaluator", "evaluator_of", "main"]

Evaluator = Callable[[Candidate], float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``python -m nas_proxy.trial``."""
    options = _parser().parse_args(arguments)
    try:
        evaluate = evaluator_of(options)
        if os.environ.get("NAS_PROXY_CHECK"):  # before the experiment: is all there that every trial needs?
            return
        import nni

        candidate = Candidate.from_parameters(nni.get_next_parameter())
        nni.report_final_result(
            as_metric(_evaluated_once(evaluate, candidate, options.time_limit), candidate.latency_ms)
        )
    except NasProxyError as error:
        sys.exit(f"error: {error}")


def evaluator_of(options: argparse.Namespace) -> Evaluator:
    """The evaluator that the command line asks for.

    Raises:
        InputError: it does not exist, or the table cannot be read.
    """
    if options.train:
        from nas_proxy.nni_plugin.digits import train_digits

        return lambda candidate: train_digits(candidate, epochs=options.epochs, seed=options.seed)
    if options.table:
        from nas_proxy.datasets import load_accuracies

        format, _, path = options.table.rpartition(":")
        table = load_accuracies(format or "csv", path)
        return lambda candidate: float(table.accuracy_of([candidate.make_space().from_str(candidate.arch)])[0])
    return _imported(options.evaluator)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nas_proxy.trial", description=__doc__)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--train", choices=["digits"], help="train on this data set")
    how.add_argument("--table", metavar="FORMAT:PATH", help="look accuracies up, such as nats-bench:cifar100.txt")
    how.add_argument("--evaluator", metavar="MODULE:FUNCTION", help="your own function of a candidate")
    parser.add_argument("--epochs", type=_positive(int), default=5, help="of --train (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of --train (default: %(default)s)")
    parser.add_argument("--time-limit", type=_positive(float), metavar="SECONDS", help="fail a trial that takes longer")
    return parser


def _positive(number: type[float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not (value := number(text)) > 0:
            raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
        return value

    parse.__name__ = number.__name__  # what argparse calls it where the text is no number at all
    return parse


def _imported(name: str) -> Evaluator:
    module, _, attribute = name.partition(":")
    sys.path.insert(0, os.getcwd())  # NNI starts trials in `trialCodeDirectory`
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"--evaluator {name}: expected module:function, importable from {os.getcwd()}; found: {error}."
        ) from error
    if not callable(function):
        raise InputError(f"--evaluator {name}: expected a function, found {function!r}.")
    return cast(Evaluator, function)


def _evaluated_once(evaluate: Evaluator, candidate: Candidate, time_limit: float | None) -> float:
    """The candidate's accuracy. A trial cut off after evaluating, before NNI knew, is run again in the same folder:
    then the accuracy is there already.
    """
    folder = Path(os.environ.get("NNI_OUTPUT_DIR", "."))
    path = folder / "accuracy.json"
    with filelock.FileLock(folder / "accuracy.lock"):  # the same trial, left over from a killed manager, may be at work
        if path.exists():
            done = json.loads(path.read_text())
            if done["arch"] == candidate.arch:
                return done["accuracy"]
        with _limited(time_limit):
            accuracy = as_accuracy(evaluate(candidate))
        write_json(path, {"arch": candidate.arch, "accuracy": accuracy})
    return accuracy


@contextlib.contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    """Ends the process after ``seconds``, with a traceback of where it hung, whatever it hangs in."""
    if seconds is None:
        yield
        return
    print(f"time limit: {seconds:g} s", file=sys.stderr)
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
