"""Every error in a description names its field, and the closest known one."""

from __future__ import annotations

import pytest

from nas_proxy.errors import InputError
from nas_proxy.schema import Spec, load_yaml, parse


class Level(Spec):
    name: str
    words: int


class Accelerator(Spec):
    levels: tuple[Level, ...]
    spare: Level | None = None
    clock_mhz: float


def test_good_data_becomes_a_frozen_spec():
    spec = parse(Accelerator, {"levels": [{"name": "RF", "words": 4}], "clock_mhz": 200}, "a.yaml")
    assert spec.levels[0].words == 4
    with pytest.raises(ValueError, match="frozen"):
        spec.clock_mhz = 3


def test_all_problems_are_reported_at_once_with_their_fields():
    with pytest.raises(InputError) as caught:
        parse(
            Accelerator, {"levels": [{"name": "RF", "word": 4}], "spare": {"nam": "x"}, "clock_mhz": "fast"}, "a.yaml"
        )
    message = str(caught.value)
    assert "a.yaml: 6 problem(s)" in message
    assert "levels.0.word: unknown field. Did you mean 'words'?" in message
    assert "spare.nam: unknown field. Did you mean 'name'?" in message
    assert "clock_mhz: Input should be a valid number" in message
    assert "'fast'" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not valid YAML"),
        ("- 1\n- 2", "expected a mapping of fields"),
        (b"\xff\xfe\x00", "cannot be read|not valid"),
    ],
)
def test_bad_files_are_input_errors(tmp_path, text, message):
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        load_yaml(path)


def test_absent_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_yaml(tmp_path / "absent.yaml")


def test_yaml_cannot_run_code(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: !!python/object/apply:os.system ['true']")
    with pytest.raises(InputError, match="not valid YAML"):
        load_yaml(path)
