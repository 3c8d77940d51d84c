"""ONNX in and out: nothing lost, nothing guessed, every broken file named."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from nas_proxy.cli import app
from nas_proxy.errors import InputError
from nas_proxy.graph import Subgraph, annotate, from_onnx, parse_shapes, save_onnx, to_onnx

RNG = np.random.default_rng(0)


def tensor(name: str, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def constant(name: str, *shape: int):
    return onnx.numpy_helper.from_array(RNG.normal(size=shape).astype(np.float32), name)


def model(nodes, inputs, outputs, initializers=(), opset=20, **options):
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9, **options)


def small(batch="N"):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], name="bn"),
        helper.make_node("Relu", ["n"], ["y"], name="relu"),
    ]
    weights = [constant("w", 8, 3, 3, 3), constant("s", 8), constant("b", 8), constant("m", 8)]
    weights.append(onnx.numpy_helper.from_array(np.full(8, 0.5, np.float32), "v"))
    return model(nodes, [tensor("x", [batch, 3, 8, 8])], [tensor("y", [batch, 8, 8, 8])], weights)


def run(source: onnx.ModelProto, **inputs):
    return onnxruntime.InferenceSession(source.SerializeToString()).run(None, inputs)


def test_round_trip_is_lossless():
    source = small(batch=2)
    graph = from_onnx(source, simplify=False)
    assert [node.operator for node in graph.nodes] == ["Conv", "BatchNormalization", "Relu"]
    again = from_onnx(to_onnx(graph), simplify=False)
    assert again == graph
    x = RNG.normal(size=(2, 3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(run(source, x=x)[0], run(to_onnx(graph), x=x)[0])


def test_simplified_it_computes_the_same_with_the_normalisation_folded():
    source = small()
    graph = from_onnx(source, batch=2)
    assert [node.operator for node in graph.nodes] == ["Conv", "Relu"]
    assert graph.values["y"].shape == (2, 8, 8, 8)
    x = RNG.normal(size=(2, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(run(source, x=x)[0], run(to_onnx(graph), x=x)[0], rtol=1e-5, atol=1e-5)


def test_all_attribute_kinds_types_and_optional_inputs_survive(tmp_path):
    nodes = [
        helper.make_node("Constant", [], ["k"], value=onnx.numpy_helper.from_array(np.float32(3))),
        helper.make_node("Constant", [], ["e"], value_ints=[2, 3]),
        helper.make_node("Clip", ["x", "", "k"], ["c"], name="no lower bound"),
        helper.make_node("LeakyRelu", ["c"], ["l"], alpha=0.1),
        helper.make_node("Split", ["l"], ["p", "q"], axis=1, num_outputs=2),
        helper.make_node("Cast", ["p"], ["y"], to=TensorProto.BFLOAT16),
        helper.make_node("Gelu", ["q"], ["z"], approximate="tanh"),
    ]
    outputs = [tensor("y", [1, 2], TensorProto.BFLOAT16), tensor("z", [1, 2])]
    source = model(nodes, [tensor("x", [1, 4])], outputs)
    source.metadata_props.add(key="author", value="me")
    graph = from_onnx(source, simplify=False)
    assert graph.values["y"].dtype == "bfloat16"
    assert graph.nodes[2].inputs == ("x", "", "k")
    assert dict(graph.metadata) == {"author": "me"}
    path = save_onnx(graph, tmp_path / "model.onnx")
    assert from_onnx(path, simplify=False) == graph
    assert from_onnx(path.read_bytes(), simplify=False) == graph


def test_external_data(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(small(batch=1), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    graph = from_onnx(path, simplify=False)
    assert graph.constants["w"].shape == (8, 3, 3, 3)
    with pytest.raises(InputError, match=r"tensor 'w' is in the file 'weights.bin'.*give the model's path"):
        from_onnx(path.read_bytes())
    data = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(data[:100])
    with pytest.raises(InputError, match=r"weights.bin', which ends at byte 100, before \d+: truncated"):
        from_onnx(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"weights.bin', which does not exist"):
        from_onnx(path)
    source = onnx.load(path, load_external_data=False)
    for entry in source.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../secret"
    path.write_bytes(source.SerializeToString())
    with pytest.raises(InputError, match=r"outside the model's own folder"):
        from_onnx(path)


def test_open_shapes_are_refused_with_the_way_out():
    with pytest.raises(InputError, match=r"input 'x': the model leaves dimension 0 \(N\) open.*--batch N"):
        from_onnx(small())
    assert from_onnx(small(), input_shapes={"x": (5, 3, 8, 8)}).values["x"].shape == (5, 3, 8, 8)
    with pytest.raises(InputError, match="input_shapes names 'wrong', which is no input: the inputs are 'x'"):
        from_onnx(small(), input_shapes={"wrong": (1,)})
    with pytest.raises(InputError, match=r"declares the shape \['N', 3, 8, 8\], \[1, 4, 8, 8\] was given"):
        from_onnx(small(), input_shapes={"x": (1, 4, 8, 8)})
    with pytest.raises(InputError, match="dimension 0 is 0: expected at least 1"):
        from_onnx(small(), batch=0)
    nonzero = [helper.make_node("NonZero", ["x"], ["y"], name="where")]
    with pytest.raises(InputError, match=r"node 'where' \(NonZero\).*depends on the data"):
        from_onnx(model(nonzero, [tensor("x", [4])], [tensor("y", [1, "k"], TensorProto.INT64)]))


@pytest.mark.parametrize("command", ["inspect", "schedule"])
def test_open_shapes_on_the_command_line(command, tmp_path):
    if command == "schedule":
        pytest.importorskip("torch", reason="one of the schedulers it runs is a learned policy")
    conv = helper.make_node("Conv", ["x", "w"], ["y"], name="conv")
    inputs = [tensor("x", ["N", 3, "h", "w"])]
    path = str(tmp_path / "open.onnx")
    onnx.save(model([conv], inputs, [tensor("y", None)], [constant("w", 8, 3, 3, 3)]), path)

    def invoke(*options):
        return CliRunner().invoke(app, [command, path, *options])

    refused = invoke("--batch", "1").exception
    assert isinstance(refused, InputError)
    assert "leaves dimension 2 (h) open" in str(refused)
    assert "in commands by --batch N (dimension 0) or --shape x=1,3,224,224" in str(refused)
    done = invoke("--shape", "x=1,3,10,12")
    assert done.exit_code == 0, done.output
    assert ("1x8x8x10" if command == "inspect" else "inputs a second") in done.output


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["1,3,8,8"], "shape '1,3,8,8': expected INPUT=SIZES with whole numbers, such as x=1,3,224,224"),
        (["x=1,-3"], "expected INPUT=SIZES with whole numbers"),
        (["x="], "expected INPUT=SIZES with whole numbers"),
        (["x=1,3", "x=1,4"], "the input 'x' has a shape already"),
    ],
)
def test_shapes_that_cannot_be_read(texts, message):
    with pytest.raises(InputError, match=message):
        parse_shapes(texts)
    assert parse_shapes(["a=b=1, 3", "y=2"]) == {"a=b": (1, 3), "y": (2,)}


def test_broken_files_are_named(tmp_path):
    data = small().SerializeToString()
    path = tmp_path / "cut.onnx"
    for cut in (10, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError, match=r"cut.onnx: .*truncated"):
            from_onnx(path, batch=1)
    with pytest.raises(InputError, match=r"no such file"):
        from_onnx(tmp_path / "absent.onnx")
    with pytest.raises(InputError, match="not an ONNX model, or truncated"):
        from_onnx(b"this is not a model")
    with pytest.raises(InputError, match="no output"):
        from_onnx(b"")
    huge = tmp_path / "huge.onnx"
    with huge.open("wb") as file:
        file.truncate(3_000_000_000)  # sparse: takes no space
    with pytest.raises(InputError, match=r"huge.onnx: 3.0 GB in one file.*external data"):
        from_onnx(huge)


def test_unknown_opset_and_sparse_initialisers_are_refused():
    with pytest.raises(InputError, match=r"opset 99 is not known to the installed onnx: expected 1 to \d+"):
        from_onnx(model([helper.make_node("Relu", ["x"], ["y"])], [tensor("x", [1])], [tensor("y", [1])], opset=99))
    sparse = model([helper.make_node("Relu", ["x"], ["y"])], [tensor("x", [1])], [tensor("y", [1])])
    sparse.graph.sparse_initializer.add().values.name = "thin"
    with pytest.raises(InputError, match="initialiser 'thin' is sparse"):
        from_onnx(sparse)


def test_a_cycle_is_named():
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="second"),
    ]
    with pytest.raises(InputError, match=r"cycle through node 'first' \(Add\)"):
        from_onnx(model(nodes, [tensor("x", [1])], [tensor("b", [1])]))


def test_operators_unknown_to_onnx_are_kept_where_their_shapes_are_given():
    nodes = [
        helper.make_node("Fancy", ["x"], ["h"], domain="com.example", name="odd", power=2),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    source = model(nodes, [tensor("x", [1, 4])], [tensor("y", [1, 4])])
    source.opset_import.add(domain="com.example", version=1)
    with pytest.raises(InputError, match=r"node 'odd' \(com.example.Fancy\): output 'h': its shape cannot be inferred"):
        from_onnx(source)
    source.graph.value_info.append(tensor("h", [1, 4]))
    graph = from_onnx(source)
    assert graph.nodes[0].domain == "com.example"
    assert from_onnx(to_onnx(graph), simplify=False) == graph
    with pytest.raises(InputError, match=r"com.example.Fancy \(1 node\(s\), first 'odd'\).*register_formula"):
        annotate(graph)


def test_control_flow_is_kept_whole_with_what_it_captures():
    then = helper.make_graph([helper.make_node("Relu", ["x"], ["t"])], "then", [], [tensor("t", [4])])
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "else", [], [tensor("e", [4])])
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["flag"], to=TensorProto.BOOL),
        helper.make_node("If", ["flag"], ["y"], then_branch=then, else_branch=other, name="branch"),
    ]
    source = model(nodes, [tensor("x", [4])], [tensor("y", [4])])
    graph = from_onnx(source)
    branch = graph.nodes[-1]
    assert isinstance(branch.attributes["then_branch"], Subgraph)
    assert branch.reads == ("flag", "x")
    assert from_onnx(to_onnx(graph), simplify=False) == graph
    x = np.array([1, -2, 3, -4], np.float32)
    np.testing.assert_array_equal(run(source, x=x)[0], run(to_onnx(graph), x=x)[0])
    with pytest.raises(InputError, match=r"If .*branch"):
        annotate(graph)
