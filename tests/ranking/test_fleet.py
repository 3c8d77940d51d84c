"""Many targets at once: the same as one at a time, whatever their order, gaps and company."""

from __future__ import annotations

import dataclasses
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas_proxy.datasets import LatencyTable
from nas_proxy.errors import InputError
from nas_proxy.ranking import ProxyLatencyModel
from nas_proxy.ranking._fleet_cover import cover
from nas_proxy.ranking._fleet_monotonicity import assess_fleet, pairs_of
from nas_proxy.ranking._fleet_posterior import fit_fleet
from nas_proxy.ranking._spike_slab import Prior
from nas_proxy.ranking.fleet import Demand, Fleet, recommend_fleet
from nas_proxy.ranking.fleet_csv import fleet_csv, share, write_fleet
from nas_proxy.terminal.console import Terminal
from nas_proxy.terminal.fleet import fleet_page


@pytest.fixture(scope="module")
def proxy(population) -> ProxyLatencyModel:
    return ProxyLatencyModel("nasbench201").fit(population.archs, population.device(noise=0.01))


@pytest.fixture(scope="module")
def table(population) -> LatencyTable:
    """30 devices that measured the same 20 architectures."""
    rng = np.random.default_rng(0)
    columns = [
        population.device(rng.uniform(0, 2), rng.uniform(0, 2), rng.uniform(0, 2), noise=0.02, seed=i)[:20] * (1 + i)
        for i in range(30)
    ]
    names = tuple(f"device-{i}" for i in range(30))
    return LatencyTable("nasbench201", tuple(population.archs[:20]), names, np.stack(columns, axis=1))


@pytest.fixture(scope="module")
def accuracy(population) -> np.ndarray:
    work = population.space.features(population.archs)[:, population.space.feature_names.index("live_macs")]
    return 50 + 40 * work / work.max()


@pytest.fixture(scope="module")
def fleet(proxy, table, population, accuracy) -> Fleet:
    return recommend_fleet(proxy, table, population.archs, accuracy)


def of_devices(table: LatencyTable, devices: list[int]) -> LatencyTable:
    names = tuple(table.devices[i] for i in devices)
    return LatencyTable(table.space, table.archs, names, table.values_ms[:, devices])


def with_values(table: LatencyTable, device: int, values) -> LatencyTable:
    changed = table.values_ms.copy()
    changed[:, device] = values
    return dataclasses.replace(table, values_ms=changed)


def test_with_all_hypotheses_a_batch_is_adapt_one_by_one(proxy, table) -> None:
    y = table.values_ms.T / table.values_ms.mean(axis=0)[:, None]
    batch = fit_fleet(proxy.inputs(table.archs), y, proxy.knowledge, Prior())
    for i in range(5):
        single = proxy.adapt(table.archs, table.values_ms[:, i]).posterior
        np.testing.assert_allclose(batch.coefficients[i], single.coefficients, atol=1e-6)
        np.testing.assert_allclose(batch.noise_sd[i], single.noise_sd, rtol=1e-6)
        np.testing.assert_allclose(batch.freedom[i], single.freedom, rtol=1e-6)
        np.testing.assert_allclose(batch.covariance[i], single.covariance, atol=1e-6)


def test_a_gap_is_as_if_the_architecture_had_not_been_given(proxy, table) -> None:
    y = table.values_ms.T / table.values_ms.mean(axis=0)[:, None]
    gappy = y.copy()
    gappy[:, 7] = np.nan
    rest = np.delete(np.arange(20), 7)
    with_gap = fit_fleet(proxy.inputs(table.archs), gappy, proxy.knowledge)
    without = fit_fleet(proxy.inputs([table.archs[i] for i in rest]), y[:, rest], proxy.knowledge)
    rows = proxy.inputs(proxy.archs).matrix  # of equally probable hypotheses any may be kept
    np.testing.assert_allclose(with_gap.coefficients @ rows.T, without.coefficients @ rows.T, atol=0.01)
    np.testing.assert_allclose(with_gap.noise_sd, without.noise_sd, rtol=0.02)


def test_the_stated_tau_is_that_of_a_single_device(proxy, table) -> None:
    y = table.values_ms.T / table.values_ms.mean(axis=0)[:, None]
    stated = assess_fleet(
        fit_fleet(proxy.inputs(table.archs), y, proxy.knowledge), pairs_of(proxy.inputs(proxy.archs[20:]))
    )
    single = [proxy.adapt(table.archs, table.values_ms[:, i]).monotonicity.kendall_tau for i in range(6)]
    np.testing.assert_allclose(stated.kendall_tau[:6], single, atol=0.06)
    assert (stated.low <= stated.kendall_tau).all()
    assert (stated.kendall_tau <= stated.high).all()


def test_a_spike_is_not_followed(proxy, table, population, accuracy, fleet) -> None:
    values = table.values_ms[:, 0].copy()
    values[3] *= 8
    spiked = recommend_fleet(proxy, with_values(table, 0, values), population.archs, accuracy)
    assert spiked.latency_ms[0] == pytest.approx(fleet.latency_ms[0], rel=0.1)


def test_ranks_better_than_the_proxy_alone(proxy, population) -> None:
    true = population.device(macs=0, kernels=2, noise=0.01, seed=3)
    table = LatencyTable("nasbench201", tuple(population.archs[:20]), ("odd",), true[:20, None])
    y = table.values_ms.T / table.values_ms.mean()
    found = fit_fleet(proxy.inputs(table.archs), y, proxy.knowledge)
    rest, rows = slice(20, None), proxy.inputs(population.archs).matrix
    adapted, plain = (
        float(stats.spearmanr(values[rest], true[rest]).statistic)  # pyright: ignore[reportAttributeAccessIssue]
        for values in (rows @ found.coefficients[0], proxy.predict(population.archs))
    )
    assert adapted > plain + 0.1


def test_one_device_is_served_as_in_company(proxy, table, population, accuracy, fleet) -> None:
    alone = recommend_fleet(proxy, of_devices(table, [4]), population.archs, accuracy)
    for name in ("kendall_tau", "tau_low", "tau_high", "limit_ms", "latency_ms", "low_ms", "high_ms"):
        np.testing.assert_allclose(getattr(alone, name)[0], getattr(fleet, name)[4], rtol=1e-6, err_msg=name)
    assert alone.best[0] == fleet.best[4]
    assert list(alone.shared) == [alone.best[0]] or alone.group[0] == 0
    assert len(alone.shared) == alone.fewest == 1


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_devices_does_not_matter(proxy, table, population, accuracy, fleet, seed) -> None:
    order = np.random.default_rng(seed).permutation(30)
    again = recommend_fleet(proxy, of_devices(table, order.tolist()), population.archs, accuracy, jobs=1)
    np.testing.assert_array_equal(again.best, fleet.best[order])
    np.testing.assert_allclose(again.kendall_tau, fleet.kendall_tau[order], rtol=1e-6)
    assert again.doubts == tuple(fleet.doubts[i] for i in order)
    assert set(again.shared) == set(fleet.shared)
    assert again.fewest == fleet.fewest


def test_best_is_the_most_accurate_within_the_limit_and_shared_networks_are_near(
    proxy, table, population, accuracy, fleet
) -> None:
    assert (fleet.latency_ms <= fleet.limit_ms).all()
    assert (fleet.shared_latency_ms <= fleet.limit_ms).all()
    assert (fleet.low_ms < fleet.latency_ms).all()
    assert (fleet.latency_ms < fleet.high_ms).all()
    assert (accuracy[fleet.shared[fleet.group]] >= 0.99 * accuracy[fleet.best]).all()
    exact = recommend_fleet(proxy, table, population.archs, accuracy, Demand(within=0.0))
    np.testing.assert_array_equal(exact.best, fleet.best)
    np.testing.assert_allclose(accuracy[exact.shared[exact.group]], accuracy[exact.best])
    assert len(fleet.shared) <= len(exact.shared)


def test_without_accuracies_the_fastest_is_best(proxy, table, population) -> None:
    found = recommend_fleet(proxy, table, population.archs, demand=Demand(within=0.2))
    assert np.isnan(found.limit_ms).all()
    assert found.accuracy is None
    assert (found.shared_latency_ms <= 1.2 * found.latency_ms + 1e-9).all()
    assert (found.shared_latency_ms >= found.latency_ms - 1e-9).all()


def test_a_limit_that_nothing_keeps_leaves_a_device_unserved(proxy, table, population, accuracy) -> None:
    found = recommend_fleet(proxy, table, population.archs, accuracy, Demand(limit_ms=6.0))
    unserved = found.best < 0
    assert unserved.any()
    assert not unserved.all()
    np.testing.assert_array_equal(found.group < 0, unserved)
    assert all(
        ("no candidate keeps 6 ms" in reasons) == bad for reasons, bad in zip(found.doubts, unserved, strict=True)
    )
    none = recommend_fleet(proxy, table, population.archs, accuracy, Demand(limit_ms=1e-3))
    assert len(none.shared) == none.fewest == 0
    assert (none.group == -1).all()


def test_devices_that_cannot_be_adapted_to_say_why_and_stop_nobody(proxy, table, population, accuracy, fleet) -> None:
    few = np.full(20, np.nan)
    few[:2] = 1.0, 2.0
    odd = with_values(with_values(table, 1, few), 2, 5.0)
    found = recommend_fleet(proxy, odd, population.archs, accuracy)
    assert found.doubts[1] == ("2 measurements, at least 3 are needed",)
    assert found.doubts[2] == ("all latencies are the same, so architectures have no rank",)
    assert list(found.best[1:3]) == [-1, -1]
    assert np.isnan(found.kendall_tau[1:3]).all()
    np.testing.assert_array_equal(np.delete(found.best, [1, 2]), np.delete(fleet.best, [1, 2]))


def test_doubts(proxy, table, population, accuracy) -> None:
    rng = np.random.default_rng(0)
    gaps = table.values_ms[:, 2].copy()
    gaps[8:] = np.nan
    odd = with_values(table, 0, rng.uniform(1, 9, 20))  # no relation to anything
    odd = with_values(with_values(odd, 1, np.round(table.values_ms[:, 1] / 4) * 4), 2, gaps)
    found = recommend_fleet(proxy, odd, population.archs, accuracy)
    assert any(reason.startswith("Kendall's tau 0.") and reason.endswith("below 0.8") for reason in found.doubts[0])
    assert any(reason.startswith("Kendall's tau may be as low as") for reason in found.doubts[0])
    assert any(reason.startswith("latency known to") for reason in found.doubts[0])
    assert any(reason.endswith("distinct latencies, a coarse clock") for reason in found.doubts[1])
    assert "8 of 20 architectures measured" in found.doubts[2]
    values = table.values_ms[:, 3].copy()
    values[[1, 9, 15]] *= [4, 3, 0.2]
    spiked = recommend_fleet(proxy, with_values(table, 3, values), population.archs, accuracy)
    assert any("look like spikes" in reason for reason in spiked.doubts[3])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), devices=st.integers(1, 12), networks=st.integers(1, 9))
def test_a_cover_serves_all_and_the_bound_holds(seed, devices, networks) -> None:
    serves = np.random.default_rng(seed).random((devices, networks)) < 0.35
    found = cover(np.packbits(serves, axis=1), networks)
    can = serves.any(axis=1)
    np.testing.assert_array_equal(found.serves.any(axis=1), can)
    np.testing.assert_array_equal(found.serves, serves[:, found.chosen])
    sizes = range(networks + 1)
    best = next(
        g for g in sizes if any(serves[can][:, list(c)].any(axis=1).all() for c in combinations(range(networks), g))
    )
    assert found.at_least <= best <= len(found.chosen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit_ms": 0.0}, "the latency limit must be a positive number of ms, found 0.0"),
        ({"limit_ms": float("nan")}, "the latency limit must be a positive number of ms, found nan"),
        ({"quantile": 0.0}, "quantile must be above 0 and at most 1, found 0.0"),
        ({"within": 1.0}, r"must be a share from 0 up to 1 \(5 % is 0.05\), found 1.0"),
    ],
)
def test_demands_out_of_range(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        Demand(**arguments)


def test_refusals(proxy, table, population, accuracy) -> None:
    with pytest.raises(InputError, match="measurements are of 'fbnet', the proxy's of 'nasbench201'"):
        recommend_fleet(proxy, dataclasses.replace(table, space="fbnet"), population.archs)
    with pytest.raises(InputError, match="there are no candidates to recommend"):
        recommend_fleet(proxy, table, [])
    with pytest.raises(InputError, match=r"expected 600 finite accuracies, one per candidate, found .* shape \(3,\)"):
        recommend_fleet(proxy, table, population.archs, [1, 2, 3])
    with pytest.raises(InputError, match="a latency limit needs accuracies"):
        recommend_fleet(proxy, table, population.archs, demand=Demand(limit_ms=3))
    with pytest.raises(InputError, match="no device of the fleet can be adapted to; 'device-0': all latencies are the"):
        recommend_fleet(proxy, with_values(of_devices(table, [0]), 0, 2.0), population.archs)
    with pytest.raises(InputError, match="the number of threads must be an integer of at least 1, found 0"):
        recommend_fleet(proxy, table, population.archs, jobs=0)
    with pytest.raises(InputError, match=r"expected a share such as 5% or 0.05, found 'some'"):
        share("some")


def test_from_csv_to_csv(tmp_path: Path, table, population, accuracy, capsys, monkeypatch) -> None:
    """The command, with a table to read and a file with a row per device."""
    import typer

    from nas_proxy import cli

    monkeypatch.setenv("COLUMNS", "200")
    table.to_csv(tmp_path / "fleet.csv")
    device = population.device(noise=0.01)[:, None]
    LatencyTable("nasbench201", tuple(population.archs), ("phone",), device).to_csv(tmp_path / "proxy.csv")
    lines = [f"{arch},{value}" for arch, value in zip(population.archs, accuracy, strict=True)]
    (tmp_path / "accuracy.csv").write_text("\n".join(["# space: nasbench201", "arch,accuracy", *lines]) + "\n")
    files = [str(tmp_path / "fleet.csv"), "--proxy", str(tmp_path / "proxy.csv")]

    def run(*arguments: str) -> None:
        typer.main.get_command(cli.app)(["fleet", *files, *arguments], standalone_mode=False)

    output = tmp_path / "found.csv"
    run("--accuracy", str(tmp_path / "accuracy.csv"), "--within", "2%", "-o", str(output))
    shown = capsys.readouterr().out
    assert "networks serve 30 of 30 devices, within 2 % of each one's best" in shown
    assert "Kendall's tau expected: median" in shown
    heading, *rows = output.read_text().splitlines()[1:]
    assert heading.startswith("device,arch,accuracy,limit_ms,predicted_latency_ms,low_ms,high_ms,kendall_tau")
    assert len(rows) == 30
    assert rows[0].startswith("device-0,|")
    with pytest.raises(InputError, match="give --archs or --accuracy, not both"):
        run("--accuracy", str(tmp_path / "accuracy.csv"), "--archs", files[0])
    with pytest.raises(InputError, match="holds measurements: give what is to be written another name"):
        run("-o", files[0])
    with pytest.raises(InputError, match=r"holds several devices: device-0, .* A fleet is adapted from a CSV of one"):
        fleet_csv(tmp_path / "fleet.csv", tmp_path / "fleet.csv")


def test_the_table_counts_what_it_leaves_out(fleet, population, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")

    def shown(**changes) -> str:
        Terminal().show(fleet_page(dataclasses.replace(fleet, **changes), population.space, 0.01))
        return capsys.readouterr().out

    several = shown(shared=np.arange(12), group=np.arange(30) % 12, fewest=1, doubts=(("why",),) * 11 + ((),) * 19)
    assert "12 networks serve 30 of 30 devices" in several
    assert "and 2 networks more" in several
    assert "fewer than 1 network cannot serve them; that 12 do is an upper bound" in several
    assert "11 devices are doubtful:" in several
    assert "  and 1 more" in several
    one = shown(shared=np.arange(1), group=np.zeros(30, dtype=int), fewest=1, doubts=(("why",),) + ((),) * 29)
    assert "1 network serves 30 of 30 devices" in one
    assert "1 device is doubtful:" in one
    assert "cannot serve" not in one
    none = shown(shared=np.arange(0), group=np.full(30, -1), fewest=0)
    assert "no network serves any of 30 devices" in none
    assert "cannot serve" not in none


def test_cells_are_empty_where_there_is_nothing(tmp_path: Path, proxy, table, population) -> None:
    odd = with_values(table, 0, 5.0)
    found = recommend_fleet(proxy, odd, population.archs[:50])
    row = write_fleet(tmp_path / "found.csv", found, population.space).read_text().splitlines()[2]
    assert row == "device-0,,,,,,,,,,20,,," + '"all latencies are the same, so architectures have no rank"'
