"""REST as TF Serving's ``http_rest_api_handler.cc`` and ``json_tensor.cc`` have it, over real sockets."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import numpy as np
import pytest

from tests.serving.tfserving.embedded.rest_client import MODEL, Json, ask, error_of

pytestmark = pytest.mark.servers


class TestPredict:
    """Forms, element types and what is said of those that do not fit."""

    @pytest.mark.parametrize(
        ("body", "answer"),
        [
            # As in tensorflow_model_server_test.py: the signature says (N, 1), and this is (N).
            ({"instances": [2.0, 3.0, 4.0]}, {"predictions": [3.0, 3.5, 4.0]}),
            ({"instances": [[2.0], [3.0]]}, {"predictions": [[3.0], [3.5]]}),
            ({"instances": [{"x": 2}]}, {"predictions": [3.0]}),
            ({"inputs": [[2.0], [3.0]]}, {"outputs": [[3.0], [3.5]]}),
            ({"inputs": {"x": 2}}, {"outputs": 3.0}),
            ({"signature_name": "serving_default", "inputs": 2, "more": 1}, {"outputs": 3.0}),
        ],
    )
    def test_half_plus_two(self, http: httpx.Client, body: Json, answer: Json) -> None:
        assert ask(http, "predict", body) == answer

    @pytest.mark.parametrize(
        ("kind", "values"),
        [
            ("float32", [0.1, 1.0, 1e-30, 16777217.0, 3.4028235e38]),
            ("float64", [0.1, 1 / 3, 5e-324, 1.7976931348623157e308]),
            ("int32", [-(2**31), 2**31 - 1]),
            ("int64", [-(2**63), 2**63 - 1]),
            ("uint32", [0, 2**32 - 1]),
            ("uint64", [0, 2**64 - 1]),
            ("int16", [-5, 32767]),
            ("int8", [-128, 127]),
            ("uint8", [0, 255]),
            ("bool", [True, False]),
            ("string", ["", "ü€😀", 'a"\\\n\x01']),
        ],
    )
    @pytest.mark.parametrize("nested", [False, True])
    def test_values_come_back(
        self, http: httpx.Client, kind: str, values: list[Any], nested: bool
    ) -> None:
        sent = [[[each], [each]] for each in values] if nested else values
        body = {"signature_name": f"same_{kind}", "inputs": sent}
        back = ask(http, "predict", body)["outputs"]
        if kind == "float32":
            back = np.array(back, np.float32).tolist()
            sent = np.array(sent, np.float32).tolist()
        assert json.dumps(back) == json.dumps(sent), "types too: 1.0 is not 1, and true is not 1"
        row = {"signature_name": f"same_{kind}", "instances": sent}
        assert len(ask(http, "predict", row)["predictions"]) == len(values)

    @pytest.mark.parametrize("kind", ["float32", "int64", "bool", "string"])
    def test_single_values(self, http: httpx.Client, kind: str) -> None:
        value: Any = {"float32": 0.1, "int64": 2**53 + 1, "bool": True, "string": "a"}[kind]
        body = {"signature_name": f"same_{kind}", "inputs": value}
        assert ask(http, "predict", body) == {"outputs": value}

    @pytest.mark.parametrize("name", ["handed_through", "untouched"])
    def test_an_output_that_is_an_input_too(self, http: httpx.Client, name: str) -> None:
        """TensorFlow's session does not fetch what it is fed."""
        body: Json = {"signature_name": name, "inputs": {"number": [1.5], "word": ["a"]}}
        assert error_of(http, "predict", body) == "word:0 is both fed and fetched."

    def test_a_signature_of_what_is_not_there_leaves_the_others(self, http: httpx.Client) -> None:
        body: Json = {"signature_name": "nowhere", "inputs": [1.0]}
        assert "nowhere:0" in error_of(http, "predict", body)

    def test_text_that_is_no_text(self, http: httpx.Client) -> None:
        body = b'{"signature_name": "words_bytes", "inputs": ["\xff", NaN]}'
        words = "JSON Value:  Type: Number is not of expected type: string"
        assert error_of(http, "predict", body) == words
        body = b'{"signature_name": "words_bytes", "inputs": ["\xff\xed\xa0\x80"]}'
        assert ask(http, "predict", body) == {"outputs": [{"b64": "/+2ggA=="}]}
        body = b'{"signature_name": "regress_flat", "examples": [{"\xff": "\xff"}]}'
        assert "Feature: x" in error_of(http, "regress", body)
        body = b'{"signature_name": "regress_flat", "inputs": ["\xff"]}'
        assert error_of(http, "predict", body).startswith("Could not parse example input, value:")

    def test_what_json_has_no_word_for(self, http: httpx.Client) -> None:
        text = '{"signature_name": "same_float32", "inputs": [NaN, Infinity, -Inf, 0.1, 1e39]}'
        answer = http.post(f"{MODEL}:predict", content=text).text
        assert json.loads(answer)["outputs"][1:] == [math.inf, -math.inf, 0.1, math.inf]
        assert "\n        NaN,\n        Infinity,\n        -Infinity,\n" in answer
        assert math.isnan(json.loads(answer)["outputs"][0])

    def test_short_integers_lose_their_upper_bits(self, http: httpx.Client) -> None:
        body = {"signature_name": "same_uint8", "inputs": [300, -1]}
        assert ask(http, "predict", body) == {"outputs": [44, 255]}

    def test_several_inputs_in_rows_and_columns(self, http: httpx.Client) -> None:
        rows = [{"word": "a", "number": 1}, {"number": 2.5, "word": {"b64": "YQ"}}]
        body: Json = {"signature_name": "pair", "instances": rows}
        answer = [{"number": 1.0, "word": "a"}, {"number": 2.5, "word": "a"}]
        assert ask(http, "predict", body) == {"predictions": answer}
        body = {"signature_name": "pair", "inputs": {"number": 3, "word": [["a"]]}}
        assert ask(http, "predict", body) == {"outputs": {"number": 3.0, "word": [["a"]]}}

    def test_bytes(self, http: httpx.Client) -> None:
        body = {"signature_name": "words_bytes", "inputs": [{"b64": " //7 -".strip(" -") + "="}]}
        assert ask(http, "predict", body) == {"outputs": [{"b64": "//4="}]}
        found = error_of(http, "predict", {**body, "inputs": {"b64": "?"}})
        assert found == "Unable to base64 decode"

    @pytest.mark.parametrize(
        ("body", "code", "words"),
        [
            ("", 400, "JSON Parse error: The document is empty"),
            ('{"instances": [1}', 400,
             "JSON Parse error: Missing a comma or ] after an array element. at offset: 16"),
            ("[1]", 400, "JSON Value: [1] Is not object"),
            ('{"signature_name": 1}', 400,
             'JSON Value: {\n    "signature_name": 1\n} not formatted correctly. '
             "'signature_name' key must be a string value."),
            ('{"signature_name": "x"}', 400,
             'Serving signature name: "x" not found in signature def'),
            ("{}", 400, "Missing 'inputs' or 'instances' key"),
            ('{"instances": [1], "inputs": 1}', 400,
             'JSON Value: {\n    "instances": [1],\n    "inputs": 1\n} Not formatted correctly '
             "expecting only one of 'inputs' or 'instances' keys to exist "),
            ('{"instances": {}}', 400,
             'JSON Value: {\n    "instances": {}\n} Expecting \'instances\' to be an list/array'),
            ('{"instances": []}', 400,
             'JSON Value: {\n    "instances": []\n} No values in \'instances\' array'),
            ('{"instances": [1, "a"]}', 400,
             "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
             'JSON Value: "a" Type: String is not of expected type: float'),
            ('{"instances": [true]}', 400,
             "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
             "JSON Value: true Type: True is not of expected type: float"),
            ('{"instances": [[1], [1, 2]]}', 400,
             "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
             "Expecting tensor size: 1 but got: 2"),
            ('{"instances": [[1], [[1]]]}', 400,
             "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
             "Expecting shape [1] but got: [1,1]"),
            ('{"instances": [{"y": 1}]}', 400,
             "Failed to process element: 0 key: y of 'instances' list. Error: INVALID_ARGUMENT: "
             "JSON object: does not have named input: y"),
            # The first mistake on the way counts, not the first of a kind.
            ('{"instances": [{"x": "a", "y": 1}]}', 400,
             "Failed to process element: 0 key: x of 'instances' list. Error: INVALID_ARGUMENT: "
             'JSON Value: "a" Type: String is not of expected type: float'),
            ('{"instances": [{"x": 1}, {}]}', 400,
             "Failed to process element: 1 of 'instances' list. JSON object: {} "
             "keys must be equal to: x"),
            ('{"instances": [{"x": 1}, {"b64": "eA=="}]}', 400,
             "Expecting object but got list at item 1 of input list"),
            ('{"instances": [1, {"x": 1}]}', 400,
             "Expecting value/list but got object at item 1 of input list"),
            ('{"inputs": {"y": 1}}', 400, "Missing named input: x in 'inputs' object."),
            ('{"inputs": [[1], 2]}', 400,
             "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
            ('{"inputs": [1, [2]]}', 400, "Encountered list at unexpected level: 1 expected < 1"),
            ('{"inputs": [[1], [2, 3]]}', 400,
             "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
            ('{"signature_name": "pair", "instances": [1]}', 400,
             "instances is a plain list, but expecting list of objects as multiple input tensors "
             "required as per tensorinfo_map"),
            ('{"signature_name": "pair", "inputs": [1]}', 400,
             "inputs is a plain value/list, but expecting an object as multiple input tensors "
             "required as per tensorinfo_map"),
            ('{"signature_name": "same_int32", "inputs": 2147483648}', 400,
             "JSON Value: 2147483648 Type: Number is not of expected type: int32"),
            ('{"signature_name": "same_int64", "inputs": [1.0]}', 400,
             "JSON Value: 1.0 Type: Number is not of expected type: int64"),
            ('{"signature_name": "same_bool", "inputs": [1]}', 400,
             "JSON Value: 1 Type: Number is not of expected type: bool"),
            ('{"signature_name": "same_string", "inputs": {"value": {"b65": ""}}}', 400,
             'JSON Value: {\n    "b65": ""\n} not formatted correctly for base64 data'),
            ('{"signature_name": "same_string", "inputs": [["ab"], "cd"]}', 400,
             'JSON Value: "cd" found at incorrect level: 2 in the JSON DOM. Expected at level: 2'),
            ('{"signature_name": "same_float16", "inputs": [1]}', 501,
             "Conversion of JSON Value: 1 to type: half"),
            ('{"signature_name": "same_float16", "inputs": []}', 400,
             "Failed to write JSON value for tensor type: half"),
            ('{"signature_name": "unequal", "instances": [{"number": 1, "word": "a"}, '
             '{"number": 1, "word": "a"}]}', 400,
             "Tensor name: b has inconsistent batch size: 2 expecting: 1"),
        ],
    )  # fmt: skip
    def test_refusals(self, http: httpx.Client, body: str, code: int, words: str) -> None:
        assert error_of(http, "predict", body, code) == words

    def test_the_body_is_judged_before_the_model(self, http: httpx.Client) -> None:
        for body, words in ((b"{", "JSON Parse"), (b"{}", "Servable not found")):
            answer = http.post("/v1/models/nobody:predict", content=body)
            assert answer.status_code == (400 if words == "JSON Parse" else 404)
            assert answer.json()["error"].startswith(words)


class TestExamples:
    """Classify and regress."""

    def test_classify(self, http: httpx.Client) -> None:
        body: Json = {"signature_name": "classify_x_to_y", "examples": [{"x": 80.0}, {"x": 90.0}]}
        assert ask(http, "classify", body) == {"results": [[["", 42.0]], [["", 47.0]]]}
        body = {
            "signature_name": "classify_both",
            "context": {"name": "from context", "x": 1.0},
            "examples": [{"x": 0.1}, {"x": [2.0], "name": {"b64": "YQ=="}, "count": True}],
        }
        assert ask(http, "classify", body)["results"] == [
            [["from context0", 2.05], ["other", -2.05]],
            [["a1", 3.0], ["other", -3.0]],
        ]

    def test_regress(self, http: httpx.Client) -> None:
        for name in ("regress_x_to_y", "regress_flat"):
            body = {"signature_name": name, "examples": [{"x": 80.0}, {"x": 0.1}]}
            assert ask(http, "regress", body) == {"results": [42.0, 2.05]}

    @pytest.mark.parametrize(
        ("verb", "body", "words"),
        [
            ("classify", {}, "JSON Value: {} When method is classify, key 'examples' is expected "
             "and was not found"),
            ("regress", {"examples": {}}, 'JSON Value: {\n    "examples": {}\n} Expecting '
             "'examples' value to be an list/array"),
            ("regress", {"examples": []}, 'JSON Value: {\n    "examples": []\n} '
             "'examples' value is an empty array"),
            ("regress", {"examples": [1]}, "Example must be JSON object but got JSON Number"),
            ("regress", {"examples": [{}], "context": None},
             "Example must be JSON object but got JSON Null"),
            ("regress", {"examples": [{"x": [None]}]},
             "Feature: x has element with unexpected JSON type: Null"),
            ("regress", {"examples": [{"x": [[1.0]]}]},
             "Feature: x has element with unexpected JSON type: Array"),
            ("regress", {"examples": [{"x": {"y": 1}}]},
             "Feature: x has element with unexpected JSON type: Object"),
            ("regress", {"examples": [{"x": [1.0, 1]}]},
             "Unexpected element type in feature: x expecting type: float"),
            ("regress", {"examples": [{"x": [1, "a"]}]},
             "Unexpected element type in feature: x expecting type: int64"),
            ("regress", {"examples": [{"x": 2**63}]},
             "Feature: x has uint64_t element. Only int64_t is supported."),
            ("regress", {"examples": [{"x": {"b64": "?"}}]}, "Unable to base64 decode"),
            ("regress", {"signature_name": "x", "examples": [{"x": 1.0}]},
             "No signature was found with the name: x"),
        ],
    )  # fmt: skip
    def test_refusals(self, http: httpx.Client, verb: str, body: Json, words: str) -> None:
        assert error_of(http, verb, body) == words

    def test_an_example_that_tensorflow_cannot_parse(self, http: httpx.Client) -> None:
        body = {"signature_name": "regress_x_to_y", "examples": [{"x": 80}]}
        assert "Data type: int64 but expected type: float" in error_of(http, "regress", body)


class TestPaths:
    """What is asked by which path, in which case and with which method."""

    @pytest.mark.parametrize(
        ("method", "path", "code", "words"),
        [
            ("GET", "/v1/models", 400, "Missing model name in request."),
            ("GET", "/v1/models/metadata", 404, "Could not find any versions of model metadata"),
            ("GET", "/v1/models/half/versions/9", 404, "Could not find version 9 of model half"),
            ("GET", "/v1/models/half:predict", 400,
             "Malformed request: GET /v1/models/half:predict"),
            ("GET", "/v1/models/a%2Fb%20c", 404, "Could not find any versions of model a/b c"),
            ("GET", "/v1/models/half?x=1", 404, "Could not find any versions of model half?x=1"),
            ("GET", "/v1/other", 400, "Malformed request: GET /v1/other"),
            ("POST", "/v1/models/half:predict?x", 400,
             "Malformed request: POST /v1/models/half:predict?x"),
            ("POST", "/v1/models/half:PREDICT", 400,
             "Malformed request: POST /v1/models/half:PREDICT"),
            ("POST", "/v1/models/half", 400, "Malformed request: POST /v1/models/half"),
            ("POST", "/v1/models/half/versions/x:predict", 400,
             "Malformed request: POST /v1/models/half/versions/x:predict"),
            ("PUT", "/v1/models/half", 400, "Malformed request: PUT /v1/models/half"),
            ("PATCH", "/v1/models/half", 400, "Malformed request: PATCH /v1/models/half"),
            ("DELETE", "/V1/", 400, "Malformed request: DELETE /V1/"),
        ],
    )  # fmt: skip
    def test_errors(
        self, http: httpx.Client, method: str, path: str, code: int, words: str
    ) -> None:
        answer = http.request(method, path)
        assert (answer.status_code, answer.json()) == (code, {"error": words})

    @pytest.mark.parametrize(
        "path",
        ["", "/versions/123", "/VERSIONS/0123", "/metadata", "/versions/123/metadata"],
    )
    def test_what_can_be_looked_up(self, http: httpx.Client, path: str) -> None:
        answer = http.get(f"{MODEL}{path}").json()
        if "metadata" not in path:
            assert answer["model_version_status"][0]["version"] == "123"
            return
        assert answer["model_spec"] == {"name": "half", "signature_name": "", "version": "123"}
        signature = answer["metadata"]["signature_def"]["signature_def"]["regress_x_to_y"]
        assert signature["method_name"] == "tensorflow/serving/regress"
        assert signature["inputs"]["inputs"]["dtype"] == "DT_STRING"
        assert signature["outputs"]["outputs"]["tensor_shape"] == {
            "dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}],
            "unknown_rank": False,
        }

    def test_both_are_laid_out_as_protobuf_prints_them(self, http: httpx.Client) -> None:
        assert http.get(MODEL).text == (
            '{\n "model_version_status": [\n  {\n   "version": "123",\n   "state": "AVAILABLE",\n'
            '   "status": {\n    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'
        )
        text = http.get(f"{MODEL}/metadata").text
        assert text.startswith(
            '{\n"model_spec":{\n "name": "half",\n "version": "123",\n "signature_name": ""\n}\n'
            ',\n"metadata": {"signature_def": {\n "signature_def": {\n  "'
        )
        assert text.endswith("\n  }\n }\n}\n}\n}\n")
        port = (
            '    "x": {\n     "name": "x:0",\n     "dtype": "DT_FLOAT",\n     "tensor_shape": {\n'
            '      "dim": [\n       {\n        "size": "-1",\n        "name": ""\n       },\n'
        )
        assert port in text

    def test_metadata_in_capitals_is_the_status(self, http: httpx.Client) -> None:
        assert "model_version_status" in http.get(f"{MODEL}/METADATA").json()

    def test_a_version_that_is_no_number_of_64_bits_is_refused_without_a_word(
        self, http: httpx.Client
    ) -> None:
        for version in ("9223372036854775808", "9" * 5000):
            answer = http.post(f"{MODEL}/versions/{version}:predict", content=b"{}")
            assert (answer.status_code, answer.content) == (400, b"")

    @pytest.mark.parametrize(
        ("method", "path", "code"), [("GET", "/", 404), ("GET", "/v1", 404), ("TRACE", MODEL, 501)]
    )
    def test_libevents_own_pages(
        self, http: httpx.Client, method: str, path: str, code: int
    ) -> None:
        answer = http.request(method, path)
        assert answer.status_code == code
        assert answer.headers["content-type"] == "text/html"
        assert answer.text.startswith(f"<HTML><HEAD>\n<TITLE>{code} ")
