"""Names are looked up with options and close-match errors, checked against contracts, imported only when asked for."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_proxy import extensions
from nas_proxy.errors import InputError, UnknownNameError
from nas_proxy.mapping.mappers.baselines import RandomMapper
from nas_proxy.mapping.mappers.marl import MarlMapper


class TestText:
    @pytest.mark.parametrize(
        ("text", "name", "options"),
        [
            ("marl", "marl", {}),
            (" marl ( critic = false , turn=3) ", "marl", {"critic": False, "turn": 3}),
            ("macs+bytes(macs_per_byte=2.5)", "macs+bytes", {"macs_per_byte": 2.5}),
            ("my.module:Class.make(a=none,b=-1e-3)", "my.module:Class.make", {"a": None, "b": -1e-3}),
            ('a(x=relu,y=\'two words, (3)\',z="a \\"b\\"")', "a", {"x": "relu", "y": "two words, (3)", "z": 'a "b"'}),
            ("a(path=/tmp/x-1.csv)", "a", {"path": "/tmp/x-1.csv"}),
            ("a()", "a", {}),
            ("a(x=nan,y=inf,z=1_0)", "a", {"x": "nan", "y": "inf", "z": "1_0"}),
        ],
    )
    def test_what_is_read(self, text, name, options):
        assert extensions.parse_text(text) == (name, options)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "expected a name"),
            ("a b", "expected a name"),
            ("a(x=1", "expected a name"),
            ("a(x)", "expected options such as channels=4"),
            ("a(x=1 y=2)", r"expected options .* found 'x=1 y=2'"),
            ("a(x=1,x=2)", "the option 'x' is there twice"),
            ("a(x=f(y=1))", "expected options"),
            ("a(__import__('os'))", "expected options"),
            ("nasbench201:channels=4", r"options are written nasbench201\(channels=4\)"),
        ],
    )
    def test_what_is_refused(self, text, message):
        with pytest.raises(InputError, match=message):
            extensions.parse_text(text)

    @given(
        st.dictionaries(
            st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True),
            st.one_of(
                st.none(),
                st.booleans(),
                st.integers(),
                st.floats(allow_nan=False, allow_infinity=False),
                st.text(alphabet=st.characters(exclude_categories=["Cs"])),
            ),
            max_size=4,
        )
    )
    def test_what_is_written_is_read_back(self, options):
        assert extensions.parse_text(extensions.write_text("name", options)) == ("name", options)


@dataclass(frozen=True)
class Tuned:
    """A mapper of many options. Not this.

    Attributes:
        share: of something.
        where: a folder.
    """

    share: float = 0.5
    way: Literal["up", "down"] = "up"
    where: Path | None = None
    initial: int = field(default=1, init=False)

    def search(self, problem: Any, rng: Any) -> None: ...


class NoMapper:
    initial = 1


def needy(*, budget: int) -> RandomMapper:
    return RandomMapper(batch=budget)


OWN = __name__


def test_options_reach_what_is_made():
    assert extensions.get("mappers", "marl(critic=false,turn=3)") == MarlMapper(critic=False, turn=3)
    assert extensions.get("mappers", "marl(turn=3)", turn=4) == MarlMapper(turn=4)
    assert extensions.get("mappers", "marl-without-critic(large=0.2)").large == 0.2
    assert extensions.get("mappers", f"{OWN}:needy(budget=7)") == RandomMapper(batch=7)


def test_values_are_of_the_types_that_options_have():
    made = extensions.get("mappers", f"{OWN}:Tuned(share=1,way=down,where=here)")
    assert made == Tuned(1, "down", Path("here"))
    for text, message in [
        ("share=much", r"Tuned: share: expected float, found much"),
        ("share=true", r"share: expected float, found true"),
        ("way=left", r"way: expected Literal\['up', 'down'\], found left"),
        ("where=3", r"where: expected .*Path.*, found 3"),
    ]:
        with pytest.raises(InputError, match=message):
            extensions.get("mappers", f"{OWN}:Tuned({text})")


def test_an_unknown_option_is_answered_with_the_closest_and_all_defaults():
    with pytest.raises(UnknownNameError, match=r"option of mapper marl 'critc'\. Did you mean 'critic'\?.*critic=true"):
        extensions.get("mappers", "marl(critc=false)")
    with pytest.raises(UnknownNameError, match=r"option of mapper marl 'initia'"):
        extensions.get("mappers", "marl", initia=3)
    with pytest.raises(
        UnknownNameError, match=r"'initial'.*Known: share, way, where|'initial'.*Known: share, where, way"
    ):
        extensions.get("mappers", f"{OWN}:Tuned(initial=3)")


def test_an_option_that_is_needed_is_named():
    with pytest.raises(InputError, match=r"mapper .*:needy: missing a required argument: 'budget'"):
        extensions.get("mappers", f"{OWN}:needy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("os:getcwd", "mapper os:getcwd gives str: expected a Mapper with initial, search."),
        ("math:pi", "mapper math:pi is float: expected a Mapper with initial, search."),
        (f"{OWN}:NoMapper", "gives NoMapper: expected a Mapper with initial, search."),
        ("math:tau2", "mapper math:tau2: expected a known name or an importable module:attribute"),
        (".:x", r"mapper \.:x: expected a known name or an importable module:attribute"),
        ("no_such_module:x", r"mapper no_such_module:x: .*No module named"),
    ],
)
def test_what_is_looked_up_is_checked(text, message):
    with pytest.raises(InputError, match=message):
        extensions.get("mappers", text)


def test_messages_have_the_right_article():
    with pytest.raises(InputError, match="expected an AdaptationMethod"):
        extensions.get("methods", "os:getcwd")
    with pytest.raises(InputError, match="expected an adaptation method or the name"):
        extensions.get("methods", 3)


def test_an_object_that_satisfies_the_contract_is_taken_as_it_is():
    mapper = RandomMapper()
    assert extensions.get("mappers", mapper) is mapper
    for other in (3, None, ["marl"]):
        with pytest.raises(InputError, match=r"expected a mapper or the name of one, such as 'cma-es'; found"):
            extensions.get("mappers", other)


def test_a_ready_object_can_be_registered():
    extensions.register("mappers", "ready", RandomMapper(batch=3))
    assert extensions.get("mappers", "ready").batch == 3
    with pytest.raises(UnknownNameError, match="option of mapper ready 'batch'"):
        extensions.get("mappers", "ready(batch=4)")


def test_a_later_registration_replaces_an_earlier_one_and_what_ships():
    extensions.register("mappers", "marl", RandomMapper)
    assert isinstance(extensions.get("mappers", "marl"), RandomMapper)
    extensions.register("mappers", "marl", f"{OWN}:Tuned")
    assert isinstance(extensions.get("mappers", "marl"), Tuned)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match=r"unknown mapper 'mral'\. Did you mean 'marl'"):
        extensions.get("mappers", "mral")
    for ask in (
        extensions.names,
        lambda point: extensions.get(point, "x"),
        lambda point: extensions.register(point, "x", 1),
    ):
        with pytest.raises(UnknownNameError, match=r"unknown extension point 'maper'\. Did you mean 'mappers'"):
            ask("maper")
    with pytest.raises(InputError, match=r"letters, digits and \. _ \+ -, found 'a:b'"):
        extensions.register("mappers", "a:b", RandomMapper)


class TestData:
    """What data may name."""

    def test_code_is_never_named(self, tmp_path, monkeypatch):
        (tmp_path / "inside.py").write_text("raise SystemExit('code from the folder has run')")
        monkeypatch.syspath_prepend(tmp_path)
        for text in ("inside:Mapper", "builtins:print", "inside:Mapper(a=1)"):
            with pytest.raises(
                UnknownNameError,
                match=r"is code, and data cannot have code run\. If .*name it .* \(--mapper inside|builtins",
            ):
                extensions.get("mappers", text, trusted=False)
            with pytest.raises(UnknownNameError, match="is code"):
                extensions.stated("mappers", text)
        assert "inside" not in sys.modules

    def test_what_is_known_is_named_with_options(self):
        assert extensions.get("mappers", "marl(turn=3)", trusted=False) == MarlMapper(turn=3)
        assert extensions.stated("mappers", "marl(turn=3)") == "marl(turn=3)"

    def test_what_the_caller_has_named_or_registered_is_known(self):
        extensions.get("mappers", f"{OWN}:Tuned")
        assert extensions.get("mappers", f"{OWN}:Tuned(share=1)", trusted=False) == Tuned(1)
        extensions.register("mappers", "mine", needy)
        assert extensions.get("mappers", f"{OWN}:needy(budget=1)", trusted=False) == RandomMapper(1)
        assert f"{OWN}:Tuned" not in extensions.names("mappers")

    def test_files_do_not_run_code(self, tmp_path, monkeypatch):
        """Of a device's kind, mapper, scheduler and runtime, and of a CSV's space; the caller may name a space."""
        from nas_proxy import get_device, load_latencies
        from nas_proxy.spaces import get_space

        module = "from nas_proxy.spaces.nasbench201 import NasBench201\nclass Own(NasBench201):\n    name = 'own'\n"
        (tmp_path / "mailed.py").write_text(module)
        monkeypatch.syspath_prepend(tmp_path)
        cell = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"
        for fields in ("kind: mailed:Own", "kind: host\nruntime: mailed:Own"):
            (tmp_path / "device.yaml").write_text(fields)
            with pytest.raises(UnknownNameError, match="mailed:Own is code"):
                get_device(tmp_path / "device.yaml")
        for stated in ("mailed:Own", "own"):
            (tmp_path / "m.csv").write_text(f"# space: {stated}\narch,latency_ms\n{cell},2\n")
            with pytest.raises(UnknownNameError, match=r"m\.csv: unknown search space .*--space"):
                load_latencies("csv", tmp_path / "m.csv")
        assert "mailed" not in sys.modules
        own = get_space("mailed:Own")
        for stated in ("mailed:Own", "own"):  # by the class, or by the name that it has
            (tmp_path / "m.csv").write_text(f"# space: {stated}\narch,latency_ms\n{cell},2\n")
            assert load_latencies("csv", tmp_path / "m.csv", space=own).archs == (cell,)


class TestPlugIns:
    @pytest.fixture
    def install(self, tmp_path, monkeypatch):
        """Makes an installed package of a name, with entry points and modules."""
        monkeypatch.syspath_prepend(tmp_path)
        extensions._plug_ins.cache_clear()

        def install(name: str, points: str, **modules: str) -> None:
            folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            (folder / "entry_points.txt").write_text(points)
            for module, code in modules.items():
                (tmp_path / f"{module}.py").write_text(code)
            importlib.invalidate_caches()

        yield install
        extensions._plug_ins.cache_clear()

    MAPPER = "from nas_proxy.mapping.mappers.baselines import RandomMapper as Mine\n"

    def test_an_installed_one_is_known_by_name(self, install):
        install("plug-one", "[nas_proxy.mappers]\nmine = plug_one:Mine\n", plug_one=self.MAPPER)
        assert "mine" in extensions.names("mappers")
        assert extensions.source("mappers", "mine") == "plug-one 1.0"
        assert "plug_one" not in sys.modules
        assert extensions.get("mappers", "mine(batch=3)", trusted=False) == RandomMapper(3)

    def test_a_broken_one_is_named_and_leaves_the_others(self, install, caplog):
        install("plug-good", "[nas_proxy.mappers]\ngood = plug_good:Mine\n", plug_good=self.MAPPER)
        install(
            "plug-bad",
            "[nas_proxy.mappers]\nbad = plug_bad:Mine\nworse = plug_good:Nothing\n"
            "[nas_proxy.rules]\nrule = plug_bad:rule\n",
            plug_bad="raise RuntimeError('broken')",
        )
        assert extensions.get("mappers", "good")
        for name in ("bad", "worse"):
            with pytest.raises(InputError, match=f"mapper {name}: plug-bad 1.0 cannot be loaded"):
                extensions.get("mappers", name)
            assert "plug-bad 1.0 cannot be loaded" in extensions.describe("mappers", name)
        assert len(extensions.every("rules")) == len(extensions.names("rules")) - 1
        assert "rewrite rule rule: plug-bad 1.0 cannot be loaded: RuntimeError: broken" in caplog.text

    def test_two_of_the_same_name_are_refused(self, install):
        install("plug-a", "[nas_proxy.mappers]\nsame = plug_a:Mine\n", plug_a=self.MAPPER)
        install("plug-b", "[nas_proxy.mappers]\nsame = plug_b:Mine\n", plug_b=self.MAPPER)
        with pytest.raises(InputError, match=r"mapper same: plug-(a|b) 1.0 and plug-(a|b) 1.0 both .* plug_(a|b):Mine"):
            extensions.get("mappers", "same")
        assert extensions.get("mappers", "plug_a:Mine")

    def test_names_that_ship_are_kept(self, install, caplog):
        install("plug-c", "[nas_proxy.mappers]\nmarl = plug_c:Mine\n", plug_c=self.MAPPER)
        assert isinstance(extensions.get("mappers", "marl"), MarlMapper)
        assert "marl" in extensions.names("mappers")
        assert "plug-c 1.0: mappers 'marl'" in caplog.text


def test_nothing_is_imported_to_list_names():
    code = (
        "import sys\nfrom nas_proxy import extensions\n"
        "for point in extensions.POINTS: assert extensions.names(point), point\n"
        "assert not {'numpy', 'torch', 'pydantic', 'nas_proxy.spaces'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("point", extensions.POINTS)
def test_everything_that_ships_can_be_loaded_and_described(point):
    for name in extensions.POINTS[point].builtin:
        if (point, name) == ("rewriters", "egglog"):
            pytest.importorskip("egglog")
        assert callable(entry := extensions.lookup(point, name)) or isinstance(entry, extensions.contract(point))
        assert extensions.describe(point, name)
        extensions.options(point, name)


def test_options_are_listed_with_type_default_and_a_line():
    share, way, where = extensions.options("mappers", f"{OWN}:Tuned")
    assert (share.name, share.default, share.kind, share.help) == ("share", 0.5, "float", "of something.")
    assert (str(share), str(way), str(where)) == ("share=0.5", "way=up", "where=none")
    [budget] = extensions.options("mappers", f"{OWN}:needy")
    assert budget.default is extensions.REQUIRED
    assert {"runtime", "threads"} < {option.name for option in extensions.options("device_kinds", "host")}
