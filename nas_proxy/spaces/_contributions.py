"""What each choice contributes to costs, learnt from a few examples.

A network's cost is a sum over its modules, and each module depends on few choices: it exists only with some options,
and its cost is a product of factors (channels in, channels out, kernel, ...), each set by one choice. So each module's
cost is learnt by itself, as the options that forbid it and a product over the choices that matter; all other
choices are left out, so that a few examples are enough.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Contributions"]

_EXACT = 1e-9
"""Mean squared relative error below which a product counts as exact."""
_NEVER = -1e4
"""Logarithm of the factor of an option that forbids a module: its exponential is 0."""
_ROWS_AT_ONCE = 512


class Contributions:
    """Costs of codes, as sums of products.

    Args:
        codes: option indices of the examples, ``(n, choices)``.
        cardinalities: number of options of each choice.
        terms: non-negative costs of each module of the examples, ``(n, terms)``; 0 where the module does not exist.
            Each exists in some example.
        columns: which of the costs each term belongs to, ``(terms,)``.
        n_columns: number of costs.
    """

    def __init__(
        self,
        codes: NDArray[np.integer],
        cardinalities: Sequence[int],
        terms: NDArray[np.float64],
        columns: NDArray[np.integer],
        n_columns: int,
    ) -> None:
        self._starts: NDArray[np.int64] = np.cumsum([0, *cardinalities])
        self._n_columns = n_columns
        terms, self._columns = _merge_proportional(terms, columns)
        self._firsts = np.flatnonzero(np.diff(self._columns, prepend=-1))
        one_hot = self._one_hot(codes)
        learnt = [self._learn(values, one_hot) for values in terms.T]
        self._log_base = np.array([base for base, _ in learnt], dtype=np.float32)
        self._log_factor = np.column_stack([factor for _, factor in learnt]).astype(np.float32)
        used = np.logical_or.reduceat((self._log_factor != 0).any(axis=1), self._starts[:-1])
        self._relevant = np.flatnonzero(used)

    def predict(self, codes: NDArray[np.integer]) -> NDArray[np.float64]:
        """Costs of codes ``(n, choices)``, of shape ``(n, columns)``; each row to the bit, whatever the others are."""
        rows = self._starts[:-1] + np.asarray(codes)
        chunks = np.array_split(rows, max(1, len(rows) // _ROWS_AT_ONCE))
        return np.concatenate([self._predict(chunk) for chunk in chunks])

    def _predict(self, options: NDArray[np.integer]) -> NDArray[np.float64]:
        log_terms = np.tile(self._log_base, (len(options), 1))
        for choice in self._relevant:
            log_terms += self._log_factor[options[:, choice]]
        costs = np.zeros((len(options), self._n_columns))
        costs[:, self._columns[self._firsts]] = np.add.reduceat(np.exp(log_terms), self._firsts, axis=1)
        return costs

    def _one_hot(self, codes: NDArray[np.integer]) -> NDArray[np.float32]:
        one_hot = np.zeros((len(codes), self._starts[-1]), dtype=np.float32)
        np.put_along_axis(one_hot, self._starts[:-1] + np.asarray(codes), 1, axis=1)
        return one_hot

    def _learn(self, values: NDArray[np.float64], one_hot: NDArray[np.float32]) -> tuple[float, NDArray[np.float64]]:
        """Logarithm of a term's base and of each option's factor, ``(options,)``."""
        exists, factors = values > 0, np.zeros(one_hot.shape[1])
        target, inputs = np.log(values[exists]), one_hot[exists].astype(np.float64)
        base = target.mean()
        residual = target - base
        chosen: list[int] = []
        while (residual**2).mean() > _EXACT:
            choice = self._most_explaining(residual, inputs, chosen)
            if choice is None:
                break
            chosen.append(choice)
            used = np.concatenate([np.arange(int(self._starts[c]), int(self._starts[c + 1])) for c in chosen])
            factors[used] = np.linalg.lstsq(inputs[:, used], target - base, rcond=None)[0]
            residual = target - base - inputs @ factors
        factors[self._forbidden(exists, one_hot)] = _NEVER
        return base, factors

    def _forbidden(self, exists: NDArray[np.bool_], one_hot: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Options with which the module never exists: those of the fewest choices that explain every absence."""
        never = one_hot[exists].sum(axis=0) == 0
        forbidden = np.zeros_like(never)
        absent = one_hot[~exists]
        while len(absent):
            explained = np.add.reduceat((absent * never).sum(axis=0), self._starts[:-1])
            choice = int(explained.argmax())
            if not explained[choice]:
                break  # an absence that no single choice explains
            options = slice(self._starts[choice], self._starts[choice + 1])
            forbidden[options] = never[options]
            absent = absent[(absent[:, options] * never[options]).sum(axis=1) == 0]
        return forbidden

    def _most_explaining(
        self, residual: NDArray[np.float64], inputs: NDArray[np.float64], chosen: Sequence[int]
    ) -> int | None:
        """The choice whose options explain the residual best, or None if none does by the Bayesian criterion."""
        n, counts = len(residual), inputs.sum(axis=0)
        explained = np.divide((residual @ inputs) ** 2, counts, out=np.zeros_like(counts), where=counts > 0)
        per_choice = np.add.reduceat(explained, self._starts[:-1])
        degrees = np.add.reduceat(counts > 0, self._starts[:-1], dtype=np.int64) - 1
        total = (residual**2).sum()
        left = np.maximum(total - per_choice, n * _EXACT)
        gain = n * np.log(total / left) - degrees * np.log(n)
        gain[[*chosen]] = -np.inf
        gain[degrees < 1] = -np.inf
        best = int(gain.argmax())
        return best if gain[best] > 0 else None


def _merge_proportional(
    terms: NDArray[np.float64], columns: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
    """Terms of one column that are proportional, added: they depend on the same choices in the same way."""
    scale = terms.max(axis=0)
    shapes = np.round(terms / np.where(scale > 0, scale, 1), 9)
    _, group = np.unique(np.vstack([columns, shapes]), axis=1, return_inverse=True)  # sorted by column
    merged = np.zeros((terms.shape[0], group.max(initial=-1) + 1))
    np.add.at(merged.T, group, terms.T)
    merged_columns = np.zeros(merged.shape[1], dtype=np.int64)
    merged_columns[group] = columns
    return merged, merged_columns
