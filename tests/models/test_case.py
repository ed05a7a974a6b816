"""Finding and importing cases, ours and other people's, and saying what is wrong with one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.case import Case, Quality, case_folder, case_module, case_names, load_case, load_dataset
from models.errors import CaseError, TwinServeError, UnknownCase

CASE_PY = """
from models.case import Case, Training
from models.contract import Contract, TensorSpec

CASE = Case(
    name={name!r},
    title="A test",
    contract=Contract(
        inputs=(TensorSpec("x", "float32", (2,)),),
        outputs=(TensorSpec("scores", "float32", (2,)),),
        labels=("a", "b"),
        scores="scores",
        logits="scores",
    ),
    min_test_accuracy=0.5,
    training=Training(seed=3),
)
"""
DATA_PY = """
import numpy as np
from models.dataset import Dataset, Split

def load(seed):
    split = Split({"x": np.full((4, 2), seed, np.float32)}, np.array([0, 1, 0, 1]))
    return Dataset(split, split, split)
"""
NETWORK_PY = "raise RuntimeError('networks are imported in processes of their own')\n"


def files(name: str, **changes: str | None) -> dict[str, str]:
    """The four files of a case; ``case="..."`` changes one, None leaves it out."""
    texts = {"case": CASE_PY.format(name=name), "data": DATA_PY}
    texts |= {"tensorflow": NETWORK_PY, "pytorch": NETWORK_PY, **changes}
    return {f"{part}.py": text for part, text in texts.items() if text is not None}


def test_digits_is_there_and_is_what_it_says():
    case = load_case("digits")
    assert isinstance(case, Case)
    assert case.name == "digits"
    assert "digits" in case_names()
    assert {path.name for path in case_folder("digits").glob("*.py")} >= {"case.py", "data.py"}


def test_digits_has_1797_rows_in_three_stratified_splits_for_every_seed():
    case = load_case("digits")
    dataset = load_dataset(case)
    parts = [dataset.train, dataset.validation, dataset.test]
    assert [len(part) for part in parts] == [1078, 359, 360]
    for part in parts:
        shares = np.bincount(part.labels, minlength=10) / len(part)
        assert abs(shares - 0.1).max() < 0.01
        assert part.inputs["image"].min() == 0
        assert part.inputs["image"].max() == 16
    assert load_dataset(case).digest() == dataset.digest()
    assert load_dataset(case.with_training({"seed": 8})).digest() != dataset.digest()


def test_hyperparameters_are_changed_in_a_copy():
    case = load_case("digits")
    changed = case.with_training({"epochs": 2, "learning_rate": 0.5})
    assert (changed.training.epochs, changed.training.learning_rate) == (2, 0.5)
    assert changed.training.batch_size == case.training.batch_size
    assert load_case("digits").training == case.training


def test_a_case_of_another_home_is_found_beside_ours(write_case):
    home = write_case("guest", files("guest"))
    assert {"guest", "digits"} <= set(case_names([home]))
    case = load_case("guest", [home])
    assert case.title == "A test"
    assert case_folder("guest") == home / "guest"
    dataset = load_dataset(case)
    assert (dataset.train.inputs["x"] == 3).all()


def test_an_unknown_case_is_told_with_those_that_are_there(write_case):
    home = write_case("guest", files("guest"))
    with pytest.raises(UnknownCase) as raised:
        load_case("diggits", [home])
    assert "There is no case 'diggits'" in raised.value.message
    assert "digits" in raised.value.message
    assert "guest" in raised.value.message
    assert "CASE=" in raised.value.hint
    with pytest.raises(UnknownCase, match="no case 'diggits'"):
        case_folder("diggits")


@pytest.mark.parametrize("part", ["data", "tensorflow", "pytorch"])
def test_a_missing_file_is_named(write_case, part):
    home = write_case(f"lacks_{part}", files(f"lacks_{part}", **{part: None}))
    with pytest.raises(CaseError, match=rf"lacks {part}\.py in "):
        load_case(f"lacks_{part}", [home])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nothing_in_it", ""),
        ("no_case", "CASE = 'digits'\n"),
        ("another_name", CASE_PY.format(name="digits")),
    ],
)
def test_a_case_file_without_its_case_is_told_what_to_define(write_case, name, text):
    home = write_case(name, files(name, case=text))
    with pytest.raises(CaseError, match=rf"must define CASE = Case\(name='{name}'"):
        load_case(name, [home])


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("bad_syntax", "CASE = Case(\n", "SyntaxError"),
        ("bad_import", "import no_such_module_at_all\n", "no_such_module_at_all"),
        ("bad_name", "CASE = Case(name='bad_name')\n", "NameError: name 'Case'"),
        ("bad_field", "from models.case import Case\nCASE = Case(nam='x')\n", "TypeError: .*nam"),
    ],
)
def test_a_case_file_that_cannot_be_imported_is_told_why(write_case, name, text, told):
    home = write_case(name, files(name, case=text))
    with pytest.raises(CaseError, match=rf"case\.py cannot be imported: .*{told}") as raised:
        load_case(name, [home])
    assert str(home / name / "case.py") in raised.value.message


def test_a_contract_that_contradicts_itself_is_told_as_such(write_case):
    text = CASE_PY.format(name="contradicts").replace('scores="scores"', 'scores="score"')
    home = write_case("contradicts", files("contradicts", case=text))
    with pytest.raises(CaseError, match="scores names the output 'score'"):
        load_case("contradicts", [home])


def test_data_that_cannot_be_imported_is_told_why(write_case):
    home = write_case("bad_data", files("bad_data", data="import no_such_module_at_all\n"))
    case = load_case("bad_data", [home])
    with pytest.raises(CaseError, match=r"data\.py cannot be imported"):
        load_dataset(case)


def test_data_without_a_load_is_told_so(write_case):
    home = write_case("no_load", files("no_load", data="rows = 3\n"))
    with pytest.raises(CaseError, match="load"):
        load_dataset(load_case("no_load", [home]))


def test_data_that_disagree_with_the_contract_are_refused(write_case):
    wrong = DATA_PY.replace("(4, 2)", "(4, 3)")
    home = write_case("wrong_data", files("wrong_data", data=wrong))
    with pytest.raises(CaseError, match=r"x of the train split is float32\(4, 3\)"):
        load_dataset(load_case("wrong_data", [home]))


def test_importing_a_case_imports_no_network(write_case, tmp_path: Path):
    """Both would be in one process: the networks of this case raise when they are imported."""
    home = write_case("lazy", files("lazy"))
    load_dataset(load_case("lazy", [home]))
    with pytest.raises((TwinServeError, RuntimeError), match="processes of their own"):
        case_module("lazy", "pytorch")


def test_a_case_with_a_baseline_lacks_a_file_without_one(write_case):
    case = CASE_PY.format(name="scored").replace(
        "min_test_accuracy=0.5,", "min_test_accuracy=None,\n    quality=Quality('b'),"
    )
    case = case.replace("import Case, Training", "import Case, Quality, Training")
    home = write_case("scored", files("scored", case=case))
    with pytest.raises(CaseError, match=r"lacks baseline\.py"):
        load_case("scored", [home])
    (home / "scored" / "baseline.py").write_text("")
    assert load_case("scored", [home]).quality == Quality("b")


def test_a_case_with_spans_lacks_a_file_without_a_schema(write_case):
    case = CASE_PY.format(name="spanned").replace(
        "min_test_accuracy=0.5,",
        "min_test_accuracy=None,\n    quality=Quality('b'),\n    span='x',",
    )
    case = case.replace("import Case, Training", "import Case, Quality, Training")
    home = write_case("spanned", files("spanned", case=case))
    (home / "spanned" / "baseline.py").write_text("")
    with pytest.raises(CaseError, match=r"lacks schema\.pbtxt"):
        load_case("spanned", [home])
    (home / "spanned" / "schema.pbtxt").write_text("")
    assert load_case("spanned", [home]).label_column == "b"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"quality": Quality("no such label")}, "scores 'no such label'"),
        ({"absent": {"SavedModel": "who needs it"}}, "cannot do without 'SavedModel'"),
        ({"absent": {"TFLite": "typo"}}, "cannot do without 'TFLite'"),
        ({"span": "year"}, "spans by 'year'"),
        ({"quality": None}, "needs a `quality`"),
    ],
)
def test_what_a_case_cannot_ask_for(changes, told):
    with pytest.raises(CaseError, match=told):
        replace(load_case("flights"), **changes)


def test_a_sample_is_taken_of_any_case(write_case):
    home = write_case("few", files("few"))
    assert len(load_dataset(load_case("few", [home]), sample=6).train) == 2
