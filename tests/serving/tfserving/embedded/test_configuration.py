"""Many models from a configuration: policies, labels, other configurations while it runs."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import psutil
import pytest
from google.protobuf import text_format

from serving.tfserving.messages import (
    ReloadConfigRequest,
)
from tests.serving.tfserving.embedded.configured import DEADLINE_SECONDS, Start, Store, listed

pytestmark = pytest.mark.servers

Reference = dict[str, np.ndarray]
Wait = Callable[[Callable[[], bool]], None]


def test_policies_and_labels(
    start: Start, store: Store, reference: Reference, second_reference: Reference
) -> None:
    """A label may name a version that is not served: with the flag, and then the label is refused."""
    for name in ("latest", "two", "all", "specific"):
        store.put(name, 1, 2, 3)
    tensorflow = 'model_platform: "tensorflow" '
    two = "model_version_policy { latest { num_versions: 2 } }"
    labels = (
        'version_labels { key: "stable" value: 2 } version_labels { key: "canary" value: 3 } '
        'version_labels { key: "gone" value: 1 }'
    )
    running = start(
        listed(
            store.entry("latest"),
            store.entry("two", tensorflow + two + labels),
            store.entry("all", tensorflow + "model_version_policy { all {} }"),
            store.entry(
                "specific",
                tensorflow + "model_version_policy { specific { versions: 1 versions: 2 } }",
            ),
        ),
        "--allow_version_labels_for_unavailable_models",
    )
    assert running.states("latest") == {3: "AVAILABLE"}
    assert 3 in running.states("two")
    image = reference["image"]
    wanted = {"latest": {3}, "two": {2, 3}, "all": {1, 2, 3}, "specific": {1, 2}}
    for name, versions in wanted.items():
        assert set(running.states(name)) == versions
        assert running.answer(name, image)[0] == max(versions)

    version, logits = running.answer("two", image, label="stable")
    assert version == 2
    np.testing.assert_allclose(logits, second_reference["logits"], atol=1e-5)
    status, logits = running.rest_answer("two/labels/canary", image)
    assert status == 200
    np.testing.assert_allclose(logits, reference["logits"], atol=1e-5)
    assert running.rest_answer("two/labels/gone", image) == (
        404,
        "Servable not found for request: Specific(two, 1)",
    )
    assert running.rest_answer("two/labels/none", image) == (
        400,
        "Unrecognized servable version label: none",
    )
    assert running.rest_answer("all/labels/stable", image)[0] == 400


def test_other_configurations_over_grpc(
    start: Start, store: Store, reference: Reference, wait_until: Wait
) -> None:
    digits, other = store.put("digits", 1, 2), store.put("other", 4)
    running = start(listed(digits))

    told = running.reload(listed(digits, other))  # answers when the new model can be asked
    assert told.HasField("status")
    assert told.status.error_code == 0
    assert running.states("other") == {4: "AVAILABLE"}

    both = 'model_platform: "tensorflow" model_version_policy { all {} } '
    running.reload(listed(store.entry("digits", both), other))
    wait_until(lambda: running.states("digits") == {1: "AVAILABLE", 2: "AVAILABLE"})

    label = 'version_labels { key: "stable" value: %d } '
    running.reload(listed(store.entry("digits", both + label % 1), other))
    assert running.answer("digits", reference["image"], label="stable")[0] == 1
    running.reload(listed(store.entry("digits", both + label % 2), other))
    assert running.answer("digits", reference["image"], label="stable")[0] == 2

    running.reload(listed(other))  # what is gone from the list is let go
    wait_until(lambda: running.states("digits") == {1: "END", 2: "END"})
    assert running.rest_answer("digits", reference["image"]) == (
        404,
        "Servable not found for request: Latest(digits)",
    )
    assert running.states("other") == {4: "AVAILABLE"}
    running.reload(listed(digits, other))
    assert running.states("digits") == {1: "END", 2: "AVAILABLE"}


def test_refused_configurations_change_nothing(
    start: Start, store: Store, reference: Reference
) -> None:
    digits = store.put("digits", 1)
    running = start(listed(digits))
    platform = 'model_platform: "tensorflow" '
    label = platform + 'version_labels { key: "stable" value: 7 }'
    assert [
        running.refused(text)
        for text in (
            "",
            listed(digits, digits),
            listed('config { name: "digits" base_path: "digits" model_platform: "tensorflow" }'),
            listed('config { name: "digits" model_platform: "tensorflow" }'),
            listed(store.entry("digits", 'model_platform: "caffe"')),
            listed(digits, store.entry("b", 'model_platform: "caffe"')),
            listed(digits, store.entry("b", "")),
            listed(digits, store.entry("b", platform + "model_type: TENSORFLOW")),
            listed(digits, store.entry("b", "model_type: OTHER")),
            listed(store.entry("digits", label)),
        )
    ] == [
        "INVALID_ARGUMENT: ServerModelConfig type not supported by HandleReloadConfigRequest. "
        "Only ModelConfigList is currently supported",
        "INVALID_ARGUMENT: Illegal to list model digits multiple times in config list",
        "INVALID_ARGUMENT: Expected model digits to have an absolute path or URI; "
        "got base_path()=digits",
        "INVALID_ARGUMENT: Expected model digits to have an absolute path or URI; got base_path()=",
        "INVALID_ARGUMENT: Illegal to change a model's platform. For model digits platform was "
        "tensorflow and new platform requested is caffe",
        "INVALID_ARGUMENT: Model b requests unsupported platform caffe",
        "INVALID_ARGUMENT: Illegal setting neither ModelServerConfig::model_type (deprecated) "
        "nor ModelServerConfig::model_platform, model name is b",
        "INVALID_ARGUMENT: Illegal setting both ModelServerConfig::model_type (deprecated) "
        "and ModelServerConfig::model_platform, model name is b",
        "INVALID_ARGUMENT: ModelServerConfig::model_type choice 2 not supported.",
        "FAILED_PRECONDITION: Request to assign label to version 7 of model digits, "
        "which is not currently available for inference",
    ]
    assert running.answer("digits", reference["image"])[0] == 1
    assert running.states("b") == {}


def test_a_new_model_that_cannot_be_loaded(start: Start, store: Store) -> None:
    """The answer says so; the others are served, and the model is once it can be."""
    digits, torn = store.put("digits", 1), store.put("torn", 1)
    data = store.folder / "torn/1/saved_model.pb"
    data.write_bytes(data.read_bytes()[:100])
    running = start(listed(digits), "--max_num_load_retries=0")
    said = running.refused(listed(digits, torn))
    assert said.startswith(
        "UNKNOWN: 1 model(s) did not become available: {{{name: torn version: 1} due to error: "
    )
    assert said.endswith("}, }")
    assert running.states("digits") == {1: "AVAILABLE"}
    store.put("torn", 2)
    running.reload(listed(digits, torn))
    running.server.wait_ready(DEADLINE_SECONDS)


def test_a_client_that_waits_no_longer_holds_up_no_other(
    start: Start, store: Store, reference: Reference
) -> None:
    """A model whose base path is not there is waited for; meanwhile there may be other requests."""
    digits = store.put("digits", 1)
    running = start(listed(digits))
    with pytest.raises(grpc.RpcError) as late:
        running.reload(listed(digits, store.entry("later")), timeout=1)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    running.reload(listed(digits, store.put("other", 2)))
    assert running.answer("other", reference["image"])[0] == 2


def test_the_file_is_looked_at_again_and_again(
    start: Start, store: Store, wait_until: Wait
) -> None:
    digits, other = store.put("digits", 1), store.put("other", 2)
    running = start(listed(digits), "--model_config_file_poll_wait_seconds=1")
    running.write("model_config_list { config { nonsense: 1 } }")
    wait_until(lambda: "Failed to read ModelServerConfig file" in running.server.log_tail())
    running.write(listed(other, other))
    wait_until(lambda: "failed to ReloadConfig: Illegal to list" in running.server.log_tail())
    running.write("# nothing is left")
    wait_until(lambda: "Cannot transition to requested config." in running.server.log_tail())
    assert running.states("digits") == {1: "AVAILABLE"}
    running.write(listed(other))
    wait_until(lambda: running.states("other") == {2: "AVAILABLE"})
    wait_until(lambda: running.states("digits") == {1: "END"})


def test_without_the_flag_the_file_is_read_once(
    start: Start, store: Store, reference: Reference
) -> None:
    digits = store.put("digits", 1)
    running = start(listed(digits))
    running.write(listed(store.put("other", 2)))
    running.reload(listed(digits, store.put("third", 3)))  # a step that takes some time
    assert running.states("other") == {}
    assert running.answer("digits", reference["image"])[0] == 1


def test_a_server_without_models_waits_for_some(start: Start, store: Store) -> None:
    running = start("# nothing yet")
    assert "Taking no action for empty config." in running.server.log_tail()
    running.reload(listed(store.put("digits", 1)))
    assert running.states("digits") == {1: "AVAILABLE"}


def test_what_has_no_meaning_is_said_once(start: Start, store: Store, wait_until: Wait) -> None:
    store.put("digits", 1)
    entry = store.entry("digits", 'model_platform: "tensorflow" logging_config {}')
    running = start(
        listed(entry),
        "--mixed_precision=bfloat16",
        "--model_config_file_poll_wait_seconds=1",
    )
    running.reload(listed(entry))
    said = running.server.log_tail(200)
    assert said.count("logging_config has no meaning here") == 1
    assert said.count("--mixed_precision has no meaning here") == 1


def test_the_answer_says_by_how_much_counters_have_grown(start: Start, store: Store) -> None:
    """Of a counter with labels the first in their order counts, as there."""
    digits, first = store.put("digits", 1), store.put("a", 2)
    running = start(listed(digits))
    request = ReloadConfigRequest()
    loads = "/tensorflow/cc/saved_model/load_latency"
    request.metric_names.extend([loads, "/no/such/metric"])
    text_format.Parse(listed(digits, first), request.config)
    grown = {each.name: each.int64_value_increase for each in running.send(request).metric}
    assert grown["/no/such/metric"] == 0
    assert grown[loads] != 0
    assert [each.int64_value_increase for each in running.send(request).metric] == [0, 0]


def test_sigterm_ends_a_reload_that_waits(start: Start, store: Store) -> None:
    digits = store.put("digits", 1)
    running = start(listed(digits))
    with ThreadPoolExecutor(1) as client:
        waiting = client.submit(running.refused, listed(digits, store.entry("later")))
        while "Could not find base path" not in running.server.log_tail():
            assert not waiting.done()
        process = psutil.Process(running.server.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=DEADLINE_SECONDS) == 0
        assert waiting.result().split(":")[0] in ("UNAVAILABLE", "CANCELLED", "UNKNOWN")
