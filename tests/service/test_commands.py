"""The command line: what it prints, what it leaves behind, and its exit status."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import faiss
import httpx
import numpy as np
import pytest
import typer

from service import cli
from service.care import get, merge_metadata
from service.collection import open_collection
from service.ingest import NewText, content_hash, prepare_texts, store
from service.settings import Settings
from sightline_client import Client
from tests.helpers import Server, ServerStarter, jpeg, wait_until
from tests.model.samples import region_line, write_split_file

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three photos, a file that isn't one, and captions for two of them."""
    folder = tmp_path / "photos"
    (folder / "album").mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "album/b.png", "c.JPG")):
        (folder / name).write_bytes(jpeg(number))
    (folder / "broken.jpg").write_bytes(jpeg(9)[:200])
    (folder / "notes.txt").write_text("not a picture by its name")
    (folder / ".hidden.jpg").write_bytes(jpeg(8))
    lines = [
        {"image": "a.jpg", "captions": ["a dog runs", "a dog on grass"], "metadata": {"by": "me"}},
        {"image": "album/b.png", "captions": ["a cat sleeps"], "split": "train"},
        {"image": "c.JPG", "captions": "not a list"},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + "\n{broken\n"
    (folder / "captions.jsonl").write_text(text)
    return folder


def test_help_is_there_for_every_command_with_an_example_that_parses(run: Any) -> None:
    status, out, _ = run("--help")
    assert status == 0
    documented = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    assert len(commands) >= 14
    for name, command in commands.items():
        assert name in out
        status, described, _ = run(name, "--help")
        assert status == 0
        assert "Usage: sightline" in described
        [example] = re.findall(r"^ Example: (sightline .*?) *$", described, re.MULTILINE)
        assert example in documented
        program, called, *arguments = shlex.split(example)
        assert (program, called) == ("sightline", name)
        command.make_context(name, arguments)


def test_help_does_not_wait_for_the_model() -> None:
    code = "import sys, service.cli; print(sorted({'torch', 'faiss'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command"),
        (["search"], "Missing argument"),
        (["search", "dog", "-k", "0"], "-k"),
        (["search", "dog", "--data-dir", "a", "--url", "http://x"], "not both"),
        (["search", "dog", "--bundle", "b", "--url", "http://x"], "give --bundle or --url"),
        (["search", "dog", "--device", "cpu", "--url", "http://x"], "give --device or --url"),
        (["index", "a", "--codec", "int8", "--url", "http://x"], "give --codec or --url"),
        (["index", "a", "--key", "k"], "--key is for a service"),
        (["search", "dog", "--key", "k"], "--key is for a service"),
        (["serve", "--port", "70000"], "port"),
        (["serve", "--host", "0.0.0.0"], "reachable from other machines"),
        (["serve", "--device", "tpu"], "--device"),
        (["index"], "Missing argument"),
    ],
)
def test_a_wrong_call_is_2_and_says_why(run: Any, arguments: list[str], words: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in " ".join(err.replace("│", " ").split())


def test_work_that_fails_is_1_and_says_why(run: Any, tmp_path: Path) -> None:
    status, _, err = run("index", tmp_path / "nowhere", "--data-dir", tmp_path / "d")
    assert (status, err) == (1, f"sightline: {tmp_path / 'nowhere'}: no such file or folder\n")
    status, _, err = run("search", "dog", "--bundle", tmp_path / "none")
    assert status == 1
    assert err.startswith("sightline: ")
    status, _, err = run("search", "dog", "--url", "http://127.0.0.1:1")
    assert status == 1
    assert err.startswith("sightline: http://127.0.0.1:1: ")
    status, _, err = run("search", "dog", "--url", "http://127.0.0.1:port")
    assert (status, err.startswith("sightline: http://127.0.0.1:port: ")) == (1, True)


@pytest.mark.parametrize("command", ["verify", "rebuild", "compact", "search"])
def test_a_misspelt_folder_is_not_made(run: Any, tmp_path: Path, command: str) -> None:
    asked = ("dog",) if command == "search" else ()
    status, out, err = run(command, *asked, "--data-dir", tmp_path / "typo")
    assert (status, out) == (1, "")
    assert err == f"sightline: {tmp_path / 'typo'} holds no collection\n"
    assert not (tmp_path / "typo").exists()


def test_photos_are_indexed_once_with_captions(run: Any, photos: Path, tmp_path: Path) -> None:
    arguments = ("index", photos, "--captions", photos / "captions.jsonl", "--json")
    status, out, _ = run(*arguments, "--data-dir", tmp_path / "d")
    report = json.loads(out)
    assert status == 3
    assert (report["files"], report["new"], report["known"], report["failed"]) == (4, 3, 0, 1)
    assert report["captioned"] == 2
    wrong = {Path(error["file"]).name: error["error"] for error in report["errors"]}
    assert wrong.keys() == {"captions.jsonl:3", "captions.jsonl:4", "broken.jpg"}
    status, out, _ = run(*arguments, "--data-dir", tmp_path / "d")
    report = json.loads(out)
    assert (report["new"], report["known"], report["failed"]) == (0, 3, 1)
    status, out, _ = run("verify", "--data-dir", tmp_path / "d", "--json")
    assert json.loads(out) == {"items": {"image": 3, "text": 3}, "problems": []}


def test_what_is_left_out_is_told_by_the_exit_status(
    run: Any, photos: Path, tmp_path: Path
) -> None:
    there = ("--data-dir", tmp_path / "d")
    status, _, err = run("index", photos / "a.jpg", photos / "broken.jpg", *there)
    assert (status, err.startswith("broken.jpg: ")) == (3, True)
    # Nothing is new now, but what could be read is stored.
    assert run("index", photos / "a.jpg", photos / "broken.jpg", *there)[0] == 3
    assert run("index", photos / "a.jpg", *there)[0] == 0
    captions = photos / "captions.jsonl"
    assert run("index", photos / "a.jpg", "--captions", captions, *there)[0] == 3
    captions.write_text(captions.read_text().splitlines()[0])
    assert run("index", photos / "a.jpg", "--captions", captions, *there)[0] == 0
    assert run("embed", "--data", photos, "--out", tmp_path / "embeddings")[0] == 0
    assert "Exit status" in run("index", "--help")[1]


def test_only_failures_are_a_failure(run: Any, photos: Path, tmp_path: Path) -> None:
    status, out, err = run("index", photos / "broken.jpg", "--data-dir", tmp_path / "d")
    assert (status, out) == (1, "0 new, 0 already there, 1 failed\n")
    assert err.startswith("broken.jpg: ")


def test_a_service_and_a_folder_answer_alike(
    run: Any, photos: Path, tmp_path: Path, server: Server
) -> None:
    captions = photos / "captions.jsonl"
    for place in (("--data-dir", tmp_path / "d"), ("--url", server.url)):
        for expected in (
            "3 new, 0 already there, 1 failed\n",
            "0 new, 3 already there, 1 failed\n",
        ):
            status, out, _ = run("index", photos, "--captions", captions, *place)
            assert (status, out) == (3, expected)
    for query in ("a dog", photos / "a.jpg"):
        _, here, _ = run("search", query, "--explain", "--json", "--data-dir", tmp_path / "d")
        _, there, _ = run("search", query, "--explain", "--json", "--url", server.url)
        assert rounded(here)["results"] == rounded(there)["results"]
        assert len(rounded(here)["results"]) == 3


def test_what_was_told_of_a_photo_stays_when_its_folder_is_indexed_again(
    run: Any, photos: Path, tmp_path: Path, server: Server
) -> None:
    captions, photo = photos / "captions.jsonl", photos / "a.jpg"
    id_ = content_hash(photo.read_bytes())
    later = {"album": "summer", "file": "told by hand"}
    expected = {"file": "a.jpg", "by": "me", "album": "summer"}
    here = ("--data-dir", tmp_path / "d")
    run("index", photo, "--captions", captions, *here)
    settings = Settings(data_dir=tmp_path / "d")
    with open_collection(settings) as collection:
        merge_metadata(collection, "image", id_, later)
    run("index", photo, *here)
    with open_collection(settings) as collection:
        assert get(collection, "image", id_).metadata == expected
    run("index", photo, "--captions", captions, "--url", server.url)
    with Client(server.url) as client:
        client.patch_image_metadata(id_, later)
        run("index", photo, "--url", server.url)
        assert client.get_image(id_).metadata == expected


def rounded(document: str) -> Any:
    """JSON with numbers as exact as encoding alone and encoding in a batch agree."""
    return json.loads(document, parse_float=lambda number: round(float(number), 3))


def test_a_search_is_readable_in_the_terminal(run: Any, photos: Path, tmp_path: Path) -> None:
    run("index", photos, "--captions", photos / "captions.jsonl", "--data-dir", tmp_path / "d")
    status, out, _ = run("search", "a dog", "-k", 2, "--explain", "--data-dir", tmp_path / "d")
    assert status == 0
    assert out.startswith("   1  ")
    assert ".jpg" in out or ".png" in out
    assert "3 of 3 candidates re-ranked" in out
    status, out, _ = run("search", photos / "a.jpg", "--no-rerank", "--data-dir", tmp_path / "d")
    assert "a cat sleeps" in out
    assert "0 of 3 candidates re-ranked" in out


def test_pictures_without_captions_are_embedded_too(run: Any, photos: Path, tmp_path: Path) -> None:
    line = json.dumps({"image": "a.jpg", "captions": []})
    (photos / "captions.jsonl").write_text(f"{line}\n")
    assert run("embed", "--data", photos, "--out", tmp_path)[0] == 0
    images, texts = np.load(tmp_path / "images.npy"), np.load(tmp_path / "texts.npy")
    assert (len(images), texts.shape) == (1, (0, images.shape[1]))
    assert faiss.read_index(str(tmp_path / "texts.faiss")).ntotal == 0
    assert (tmp_path / "texts.jsonl").read_text() == ""


def test_embeddings_open_in_other_tools(run: Any, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "embeddings"
    status, _, err = run("embed", "--data", photos, "--out", out)
    assert status == 3
    assert "captions.jsonl:3" in err
    images, queries = np.load(out / "images.npy"), np.load(out / "texts_queries.npy")
    assert len(images) == 2
    index = faiss.read_index(str(out / "images.faiss"))
    scores, rows = index.search(queries, 2)
    assert np.allclose(np.take_along_axis(queries @ images.T, rows, axis=1), scores, atol=1e-5)
    lines = [json.loads(line) for line in (out / "texts.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == ["a dog runs", "a dog on grass", "a cat sleeps"]
    assert [line["image"] for line in lines] == ["a", "a", "album/b"]


def test_a_rebuild_keeps_everything(run: Any, photos: Path, tmp_path: Path) -> None:
    run("index", photos, "--data-dir", tmp_path / "d")
    before = run("search", "dog", "--json", "--data-dir", tmp_path / "d")
    status, out, _ = run("rebuild", "--data-dir", tmp_path / "d")
    assert (status, out) == (0, "rebuilt: 3 images, 0 texts\n")
    after = run("search", "dog", "--json", "--data-dir", tmp_path / "d")
    assert json.loads(after[1])["results"] == json.loads(before[1])["results"]


def test_a_collection_is_backed_up_and_restored(run: Any, photos: Path, tmp_path: Path) -> None:
    run("index", photos, "--captions", photos / "captions.jsonl", "--data-dir", tmp_path / "d")
    status, out, _ = run("backup", tmp_path / "saved", "--data-dir", tmp_path / "d", "--json")
    saved = json.loads(out)
    assert (status, saved["backup"]) == (0, str(tmp_path / "saved"))
    assert saved["bytes"] == (tmp_path / "saved" / "catalog.sqlite").stat().st_size
    status, out, _ = run("restore", tmp_path / "saved", "--data-dir", tmp_path / "e", "--json")
    expected = {"backup": str(tmp_path / "saved"), "data_dir": str(tmp_path / "e")}
    assert (status, json.loads(out)) == (0, expected)
    searches = [
        json.loads(run("search", "a dog", "--json", "--data-dir", tmp_path / folder)[1])["results"]
        for folder in "de"
    ]
    assert searches[0] == searches[1]
    for command in ("backup", "restore"):
        status, out, err = run(command, tmp_path / "saved", "--data-dir", tmp_path / "d")
        assert (status, out) == (1, "")
        assert err.endswith(": File exists\n")
    status, _, err = run("backup", tmp_path / "new", "--data-dir", tmp_path / "nowhere")
    assert status == 1
    assert err.endswith("catalog.sqlite: No such file or directory\n")
    assert not (tmp_path / "new").exists()


def test_names_that_are_not_utf_8_are_taken(run: Any, tmp_path: Path, server: Server) -> None:
    data, saved = tmp_path / os.fsdecode(b"d\xe9"), tmp_path / os.fsdecode(b"b\xe9")
    photo = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    photo.write_bytes(jpeg(33))
    for place in (("--data-dir", data), ("--url", server.url)):
        for told in ("1 new, 0 already there", "0 new, 1 already there"):
            assert run("index", photo, *place)[:2] == (0, f"{told}, 0 failed\n")
        status, out, _ = run("search", os.fsdecode(b"caf\xe9"), *place)
        assert (status, "caf\ufffd.jpg" in out) == (0, True)
    status, out, _ = run("backup", saved, "--data-dir", data)
    assert (status, out.startswith(f"{tmp_path}/b\\udce9: a backup of")) == (0, True)
    assert run("restore", saved, "--data-dir", tmp_path / "e")[0] == 0


def test_what_needs_a_collection_alone_says_who_has_it(
    run: Any, tmp_path: Path, start_server: ServerStarter
) -> None:
    server = start_server()
    httpx.put(f"{server.url}/texts/a", json={"text": "a dog"}).raise_for_status()
    folder = start_server.data_dir
    status, _, _ = run("backup", tmp_path / "saved", "--data-dir", folder)
    assert status == 0
    for command in (["compact"], ["verify"], ["rebuild"], ["restore", tmp_path / "saved"]):
        status, out, err = run(*command, "--data-dir", folder)
        assert (status, out) == (1, "")
        assert f"is open in another process (pid {server.process.pid}); stop the service" in err
    assert run("restore", tmp_path / "saved", "--data-dir", tmp_path / "e")[0] == 0
    status, out, _ = run("verify", "--data-dir", tmp_path / "e", "--json")
    assert json.loads(out) == {"items": {"image": 0, "text": 1}, "problems": []}


def test_compacting_gives_space_back_and_keeps_everything(
    run: Any, photos: Path, tmp_path: Path
) -> None:
    run("index", photos, "--data-dir", tmp_path / "d")
    with open_collection(Settings(data_dir=tmp_path / "d", device="cpu")) as collection:
        texts = [NewText(f"sentence {n}", f"t{n}") for n in range(300)]
        store(collection, "text", prepare_texts(collection, texts))
        collection.index.delete("text", [text.id or "" for text in texts])
    status, out, _ = run("compact", "--data-dir", tmp_path / "d", "--json")
    sizes = json.loads(out)
    assert status == 0
    assert sizes["bytes_after"] < sizes["bytes_before"] / 2
    status, out, _ = run("verify", "--data-dir", tmp_path / "d", "--json")
    assert json.loads(out) == {"items": {"image": 3, "text": 0}, "problems": []}


def test_ctrl_c_keeps_what_is_stored(toy_bundle: Path, tmp_path: Path, run: Any) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number:03}.jpg").write_bytes(jpeg(number))
    command = [sys.executable, "-m", "service", "index", str(folder), "--data-dir"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "d")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SIGHTLINE_BUNDLE": str(toy_bundle), "OMP_NUM_THREADS": "1"},
        # A shell that starts the tests in the background has interrupts ignored in all below it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wal = tmp_path / "d"
    wait_until(lambda: any(f.stat().st_size > 200_000 for f in wal.glob("*-wal")), 60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Traceback" not in err
    status, out, _ = run("verify", "--data-dir", tmp_path / "d", "--json")
    assert status == 0
    kept = json.loads(out)["items"]["image"]
    assert 0 < kept < 400
    _, out, _ = run("index", folder, "--data-dir", tmp_path / "d", "--json")
    report = json.loads(out)
    assert (report["new"], report["known"]) == (400 - kept, kept)


def test_region_files_become_a_precomputed_folder(run: Any, tmp_path: Path) -> None:
    captions = write_split_file(tmp_path / "dataset.json", {"val": [0, 1], "test": [2]})
    regions = tmp_path / "regions.tsv"
    regions.write_text("".join(f"{region_line(n)}\r\n" for n in (2, 1, 0)))
    arguments = ("convert-regions", regions, "--out", tmp_path / "coco", "--captions", captions)
    status, out, _ = run(*arguments, "--split", "dev", "--json")
    assert status == 0
    assert json.loads(out) == {"folder": str(tmp_path / "coco"), "split": "dev", "pictures": 2}
    status, out, _ = run(*arguments, "--split", "test")
    assert (status, out) == (0, f"{tmp_path / 'coco'} holds the split test: 1 pictures\n")
    status, _, err = run(*arguments, "--split", "test")
    assert (status, err) == (1, f"sightline: {tmp_path}/coco/test_boxes.npy is already there\n")


def test_a_note_that_is_not_utf_8_is_a_wrong_call(run: Any, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_bytes(b"caf\xe9")
    status, _, told = run("export", tmp_path, "--out", "o", "--note", tmp_path / "note.txt")
    assert (status, "note.txt is not UTF-8 text" in told) == (2, True)


def test_export_leaves_a_bundle_alone_that_is_there_already(
    run: Any, toy_bundle: Path, tmp_path: Path
) -> None:
    before = (toy_bundle / "manifest.json").read_bytes()
    status, _, told = run("export", tmp_path, "--out", toy_bundle)
    assert status == 2
    assert "is a bundle already" in told
    assert (toy_bundle / "manifest.json").read_bytes() == before
