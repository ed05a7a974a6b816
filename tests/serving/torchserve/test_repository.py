"""Archives and the model store."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import zipfile

import pytest

from models.errors import ArtifactError, ArtifactMissing, StorageError
from serving.torchserve.repository import newest, pack, publish


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"a scripted module")
    return path


def test_an_archive_holds_script_handler_and_contract(script, images_contract, tmp_path):
    mar = pack(script, images_contract, "images", "3", tmp_path / "made" / "images.mar")
    with zipfile.ZipFile(mar) as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("MAR-INF/MANIFEST.json"))
        contract = json.loads(archive.read("contract.json"))
        assert archive.read("model.pt") == b"a scripted module"
    assert names == ["MAR-INF/MANIFEST.json", "contract.json", "handler.py", "model.pt"]
    assert manifest["model"] == {
        "modelName": "images",
        "modelVersion": "3",
        "serializedFile": "model.pt",
        "handler": "handler.py",
    }
    assert contract["inputs"][0]["name"] == "image"
    assert contract["inputs"][0]["shape"] == [8, 8, 1]
    assert contract["scores"] == "probabilities"


def test_equal_inputs_give_equal_bytes_and_leave_nothing_else(script, images_contract, tmp_path):
    first = pack(script, images_contract, "images", "1", tmp_path / "out" / "a.mar")
    second = pack(script, images_contract, "images", "1", tmp_path / "out" / "b.mar")
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mar", "b.mar"]


def test_packing_leaves_the_root_logger_alone(script, images_contract, tmp_path):
    before = list(logging.getLogger().handlers)
    pack(script, images_contract, "images", "1", tmp_path / "a.mar")
    assert logging.getLogger().handlers == before


def test_a_missing_script_is_named(images_contract, tmp_path):
    with pytest.raises(ArtifactMissing, match="absent.pt"):
        pack(tmp_path / "absent.pt", images_contract, "images", "1", tmp_path / "a.mar")


def test_a_name_that_the_archiver_refuses_is_told_in_its_words(script, images_contract, tmp_path):
    with pytest.raises(ArtifactError, match="cannot pack 'no spaces'"):
        pack(script, images_contract, "no spaces", "1", tmp_path / "a.mar")
    assert not (tmp_path / "a.mar").exists()


def test_a_folder_that_cannot_be_written_is_a_storage_error(script, images_contract, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        pack(script, images_contract, "images", "1", tmp_path / "file" / "a.mar")
    with pytest.raises(StorageError, match="cannot be written"):
        publish(script, tmp_path / "file", "images", "1")


def test_the_highest_version_of_exactly_that_model_is_served(script, tmp_path):
    store = tmp_path / "store"
    for name, version in (("images", "9"), ("images", "10"), ("images-big", "11"), ("image", "12")):
        publish(script, store, name, version)
    assert newest(store, "images") == store / "images-10.mar"
    assert sorted(path.suffix for path in store.iterdir()) == [".mar"] * 4


def test_publishing_again_replaces_the_archive(script, tmp_path):
    publish(script, tmp_path / "store", "images", "1")
    script.write_bytes(b"another")
    target = publish(script, tmp_path / "store", "images", "1")
    assert target.read_bytes() == b"another"


def test_what_cannot_be_published_is_named(script, tmp_path):
    with pytest.raises(ArtifactMissing, match="absent.mar"):
        publish(tmp_path / "absent.mar", tmp_path, "images", "1")
    with pytest.raises(ArtifactError, match="'latest'"):
        publish(script, tmp_path, "images", "latest")
    with pytest.raises(ArtifactMissing, match="'images'"):
        newest(tmp_path, "images")


def test_no_framework_is_imported_for_clients_specs_and_archives():
    modules = "client", "repository", "spec"
    code = "import sys\n" + "".join(f"import serving.torchserve.{name}\n" for name in modules)
    code += "print({'torch', 'tensorflow', 'ts', 'model_archiver'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
