"""Archives and the model store."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import zipfile

import pytest

from models.errors import ArtifactCorrupt, ArtifactError, ArtifactMissing, StorageError
from serving.torchserve.repository import newest, pack, publish


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"a scripted module")
    return path


@pytest.fixture
def mar(script, images_contract, tmp_path):
    return pack(script, images_contract, "images", "1", tmp_path / "packed" / "images.mar")


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
    with pytest.raises(ArtifactMissing, match=r"absent\.pt"):
        pack(tmp_path / "absent.pt", images_contract, "images", "1", tmp_path / "a.mar")


def test_a_name_that_the_archiver_refuses_is_told_in_its_words(script, images_contract, tmp_path):
    with pytest.raises(ArtifactError, match="cannot pack 'no spaces'"):
        pack(script, images_contract, "no spaces", "1", tmp_path / "a.mar")
    assert not (tmp_path / "a.mar").exists()


def test_an_unwritable_folder_is_a_storage_error(script, mar, images_contract, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        pack(script, images_contract, "images", "1", tmp_path / "file" / "a.mar")
    with pytest.raises(StorageError, match="cannot be written"):
        publish(mar, tmp_path / "file", "images", "1")


def test_the_highest_version_of_exactly_that_model_is_served(mar, tmp_path):
    store = tmp_path / "store"
    for name, version in (("images", "9"), ("images", "10"), ("images-big", "11"), ("image", "12")):
        publish(mar, store, name, version)
    assert newest(store, "images") == store / "images-10.mar"
    assert sorted(path.suffix for path in store.iterdir()) == [".mar"] * 4


def test_a_damaged_version_beside_a_good_one_does_not_stop_a_restart(mar, tmp_path, caplog):
    for version in ("1", "2", "3"):
        publish(mar, tmp_path, "images", version)
    for version in ("2", "3"):
        (tmp_path / f"images-{version}.mar").write_bytes(mar.read_bytes()[:1000])
    assert newest(tmp_path, "images") == tmp_path / "images-1.mar"
    assert [version in caplog.text for version in ("images-3.mar", "images-2.mar")] == [True, True]


def test_publishing_again_replaces_the_archive(mar, mixed_contract, script, tmp_path):
    publish(mar, tmp_path / "store", "images", "1")
    other = pack(script, mixed_contract, "images", "1", tmp_path / "other.mar")
    target = publish(other, tmp_path / "store", "images", "1")
    assert target.read_bytes() == other.read_bytes() != mar.read_bytes()


def test_what_cannot_be_published_is_named(mar, tmp_path):
    with pytest.raises(ArtifactMissing, match=r"absent\.mar"):
        publish(tmp_path / "absent.mar", tmp_path, "images", "1")
    with pytest.raises(ArtifactError, match="'latest'"):
        publish(mar, tmp_path, "images", "latest")
    with pytest.raises(ArtifactMissing, match="'images'"):
        newest(tmp_path / "store", "images")


def test_a_damaged_archive_is_not_published(mar, tmp_path):
    whole = mar.read_bytes()
    flipped = whole.replace(b"a scripted", b"a swindled")
    damages = {"cut": whole[:-100], "text": b"no archive", "flipped": flipped}
    for name, content in damages.items():
        damaged = tmp_path / f"{name}.mar"
        damaged.write_bytes(content)
        with pytest.raises(ArtifactCorrupt, match=name):
            publish(damaged, tmp_path / "store", "images", "1")
    assert not (tmp_path / "store").exists()


def test_no_framework_is_imported_for_clients_specs_and_archives():
    modules = "client", "repository", "spec"
    code = "import sys\n" + "".join(f"import serving.torchserve.{name}\n" for name in modules)
    code += "print({'torch', 'tensorflow', 'ts', 'model_archiver'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
