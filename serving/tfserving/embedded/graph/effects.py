"""Whether a model may remember that it was asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from serving.tfserving.embedded.graph.tensorflow_session import op_def_registry

_HARMLESS = re.compile(
    "Assert|Case|CheckNumerics(V2)?|If|StatefulPartitionedCall|While"
    "|ReadVariableOp|ResourceGather(Nd)?|VarHandleOp|VarIsInitializedOp|Variable(V2|Shape)?"
    "|(Anonymous)?(Mutable|MutableDense)?HashTable(OfTensors)?(V2)?"
    "|LookupTable(Export|Find|Size)(V2)?"
    "|TensorArray(Close|Concat|Gather|Read|Scatter|Size|Split|Write)?V3"
    "|DeviceIndex|GuaranteeConst|StatelessRandomGetAlg"
)
"""Operations that TensorFlow calls stateful, or gives a reference, and that only name or read what is kept, tell
of the device, or call functions, which are looked into; a TensorArray ends with the request."""


def has_effects(graph_def: Any, inputs: Collection[str], outputs: Collection[str]) -> bool:
    """Whether asking for these outputs may change what is answered later, or be seen elsewhere.

    So it is for every operation that TensorFlow calls stateful or that takes a reference to a
    variable, but for those that are known to be harmless: one that is not known counts.

    Args:
        graph_def: a GraphDef.
        inputs: tensors that are fed, as ``name:0``; what is behind them is not run.
        outputs: tensors that are fetched.
    """
    functions = {each.signature.name: each.node_def for each in graph_def.library.function}
    reached = list(_behind(graph_def.node, inputs, outputs))
    called: set[str] = set()
    while reached:
        node = reached.pop()
        names = {*_functions_of(node), node.op} & functions.keys()
        if node.op not in functions and _leaves_a_trace(node):
            return True
        for name in names - called:
            reached.extend(functions[name])
        called |= names
    return False


def _behind(
    nodes: Iterable[Any], inputs: Collection[str], outputs: Collection[str]
) -> Iterator[Any]:
    """What is run: from the outputs back along data and control, up to the inputs."""
    by_name: Mapping[str, Any] = {node.name: node for node in nodes}
    seen: set[str] = set()
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop()
        name, _, place = tensor.lstrip("^").partition(":")
        if f"{name}:{place or 0}" in inputs or name in seen or name not in by_name:
            continue
        seen.add(name)
        yield by_name[name]
        waiting.extend(by_name[name].input)


def _functions_of(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for each in value.list.func:
            yield each.name


def _leaves_a_trace(node: Any) -> bool:
    if _HARMLESS.fullmatch(node.op):
        return False
    if node.op == "XlaCallModule":  # what JAX exports; tokens keep effects in their order
        return "has_token_input_output" in node.attr and node.attr["has_token_input_output"].b
    known = op_def_registry.get(node.op)
    return known is None or known.is_stateful or any(each.is_ref for each in known.input_arg)
