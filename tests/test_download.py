"""CIFAR-100 from whatever form of it there is, and a download that breaks off and goes on."""

import errno
import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NoReturn

import numpy as np
import pytest
from torchvision.datasets import CIFAR100

from cilkit import Config, DataSet, InputError
from cilkit.data.datasets import build_dataset
from cilkit.data.sources.cifar100 import ARCHIVE, FOLDER
from cilkit.data.sources.download import fetch, md5_of
from cilkit.machine.lock import held

CONTENT = np.random.default_rng(0).bytes(300_000)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def fail(number: int) -> Callable[..., NoReturn]:
    """Return a function in which the system refuses something."""

    def function(*arguments: object, **options: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return function


@dataclass
class Server:
    """A web server that breaks off as often as it is told to, and remembers what it was asked."""

    content: bytes = CONTENT
    break_after: list[int] = field(default_factory=list)  # bytes, for one request after the other
    knows_ranges: bool = True
    status: int = 0  # if not 0: what every request gets
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


def handler_of(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            span = self.headers.get("Range")
            server.asked.append(span)
            if server.status:
                return self.send_error(server.status)
            start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
            if start >= len(server.content):
                return self.send_error(416)
            partial = start > 0 and server.knows_ranges
            rest = server.content[start if partial else 0 :]
            self.send_response(206 if partial else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            limit = server.break_after.pop(0) if server.break_after else len(rest)
            self.wfile.write(rest[:limit])
            return None

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("cilkit.data.sources.download.WAITS", (0.0, 0.0, 0.0))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_of(server)) as running:
        server.url = f"http://127.0.0.1:{running.server_port}/{ARCHIVE}"
        Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        running.shutdown()


def test_a_file_is_fetched_whole(server: Server, tmp_path: Path) -> None:
    fetch(server.url, tmp_path / "new" / "file", md5(CONTENT))
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_download_that_breaks_off_goes_on_where_it_stood(server: Server, tmp_path: Path) -> None:
    server.break_after = [100_000, 50_000, 0, 70_000]
    fetch(server.url, tmp_path / "file", md5(CONTENT))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [None, *(f"bytes={n}-" for n in (100_000, 150_000, 150_000, 220_000))]


def test_a_download_goes_on_in_another_program(server: Server, tmp_path: Path) -> None:
    server.break_after = [100_000, 0, 0, 0, 0]
    with pytest.raises(InputError, match=r"100,000 bytes are in .*file\.part.* goes on from there"):
        fetch(server.url, tmp_path / "file", md5(CONTENT))
    server.asked.clear()
    fetch(server.url, tmp_path / "file", md5(CONTENT))
    assert server.asked == ["bytes=100000-"]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_two_programs_do_not_fetch_into_one_part(server: Server, tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(InputError, match="in use by"):
        fetch(server.url, tmp_path / "file", md5(CONTENT))
    assert server.asked == []
    fetch(server.url, tmp_path / "file", md5(CONTENT))


def test_a_part_that_is_complete_is_only_checked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    fetch(server.url, tmp_path / "file", md5(CONTENT))
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_knows_no_parts_starts_over(server: Server, tmp_path: Path) -> None:
    server.break_after, server.knows_ranges = [100_000], False
    fetch(server.url, tmp_path / "file", md5(CONTENT))
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_another_file_than_expected_is_thrown_away(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its checksum is another one"):
        fetch(server.url, tmp_path / "file", md5(b"another"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_server_does_not_have_is_asked_for_once(
    server: Server, tmp_path: Path
) -> None:
    server.status = 404
    with pytest.raises(InputError, match=r"could not be fetched .*404"):
        fetch(server.url, tmp_path / "file", md5(CONTENT))
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again_but_not_forever(server: Server, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(InputError, match=r"could not be fetched .*503"):
        fetch(server.url, tmp_path / "file", md5(CONTENT))
    assert len(server.asked) == 4


def test_a_full_disk_is_not_waited_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("cilkit.data.sources.download.time.sleep", waits.append)
    monkeypatch.setattr("cilkit.data.sources.download.fetch_rest", fail(errno.ENOSPC))
    with pytest.raises(InputError, match=r"could not be fetched .*No space left on device"):
        fetch(server.url, tmp_path / "file", md5(CONTENT))
    assert waits == []


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_asked_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real folder would not do: root writes everywhere."""
    monkeypatch.setattr(Path, "mkdir", fail(errno.EACCES))
    with pytest.raises(InputError, match=r"cannot write to .*new': Permission denied"):
        fetch(server.url, tmp_path / "new" / "file", md5(CONTENT))
    assert server.asked == []


# CIFAR-100, in small


def cifar_files() -> dict[str, bytes]:
    """Two images of each of three classes to learn from, one to test with, in CIFAR's format."""
    chance = np.random.default_rng(0)

    def part(labels: list[int]) -> bytes:
        pixels = chance.integers(0, 256, (len(labels), 3072), dtype=np.uint8)
        return pickle.dumps({"data": pixels, "fine_labels": labels})

    meta = pickle.dumps({"fine_label_names": ["apple", "bee", "can"]})
    return {"train": part([0, 1, 2, 0, 1, 2]), "test": part([2, 1, 0]), "meta": meta}


def packed(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    """Return an archive of files in CIFAR's folder."""
    archive = io.BytesIO()
    # typeshed lists the modes one by one; this one is a parameter.
    with tarfile.open(fileobj=archive, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(f"{FOLDER}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, server: Server) -> bytes:
    """Return a small archive that torchvision takes for CIFAR-100, and let the server have it."""
    files = cifar_files()
    server.content = packed(files)
    monkeypatch.setattr(CIFAR100, "url", server.url)
    monkeypatch.setattr(CIFAR100, "tgz_md5", md5(server.content))
    monkeypatch.setattr(CIFAR100, "train_list", [["train", md5(files["train"])]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", md5(files["test"])]])
    monkeypatch.setattr(CIFAR100, "meta", CIFAR100.meta | {"md5": md5(files["meta"])})
    return server.content


def load(path: Path, download: bool = False) -> DataSet:
    return build_dataset(Config(dataset="cifar100", data_path=path, download=download))


def test_an_archive_is_unpacked_where_it_lies(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(archive)
    assert load(tmp_path).class_names == ("apple", "bee", "can")
    assert sorted(path.name for path in tmp_path.iterdir()) == [FOLDER, ARCHIVE]


@pytest.mark.parametrize("name", ["", ARCHIVE, FOLDER])
def test_the_archive_the_folder_and_the_place_of_both_are_good_names(
    name: str, archive: bytes, tmp_path: Path
) -> None:
    (tmp_path / ARCHIVE).write_bytes(archive)
    load(tmp_path)
    assert load(tmp_path / name).train.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_a_download_ends_in_a_data_set(archive: bytes, server: Server, tmp_path: Path) -> None:
    server.break_after = [5_000]
    assert len(load(tmp_path / "new", download=True).test) == 3
    assert server.asked == [None, "bytes=5000-"]


def test_what_is_there_is_not_downloaded(archive: bytes, server: Server, tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(archive)
    load(tmp_path, download=True)
    assert server.asked == []


def test_nothing_is_downloaded_unless_asked_for(
    archive: bytes, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"no CIFAR-100 in .*put {ARCHIVE} there"):
        load(tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("mode", ["w:", "w:xz"])
def test_an_archive_may_be_one_of_your_own(mode: str, archive: bytes, tmp_path: Path) -> None:
    """The files in it are what is checked."""
    (tmp_path / "mine.tar").write_bytes(packed(cifar_files(), mode))
    assert load(tmp_path / "mine.tar").class_names == ("apple", "bee", "can")


def test_where_a_download_was_asked_for_the_data_set_is_found_again(
    archive: bytes, tmp_path: Path
) -> None:
    for _ in range(2):
        assert len(load(tmp_path / FOLDER, download=True).test) == 3


def broken_archives() -> list[bytes]:
    """What may be found under the archive's name."""
    files = cifar_files()
    damaged, whole = packed(files | {"test": b"something else"}), packed(files)
    return [
        b"",
        b"no archive",
        damaged,
        packed({"train": files["train"]}),
        whole[: len(whole) // 2],
    ]


@pytest.mark.parametrize("content", broken_archives())
def test_a_broken_archive_is_named(content: bytes, archive: bytes, tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(content)
    with pytest.raises(InputError, match=rf"{ARCHIVE}' is damaged, incomplete or another file"):
        load(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVE]


def test_a_disk_that_fails_is_no_damaged_archive(
    archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is told to delete it would lose a whole one."""
    (tmp_path / ARCHIVE).write_bytes(archive)
    monkeypatch.setattr(Path, "open", fail(errno.EIO))
    with pytest.raises(InputError, match=rf"{ARCHIVE}' could not be unpacked: .*Input/output"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_a_file_that_the_system_withholds_is_not_called_damaged(
    name: str, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ARCHIVE).write_bytes(archive)
    load(tmp_path)
    whole = md5_of

    def refuse(path: Path) -> str:
        if path.name == name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return whole(path)

    monkeypatch.setattr("cilkit.data.sources.cifar100.md5_of", refuse)
    monkeypatch.setattr(CIFAR100, "_check_integrity", lambda _: False)
    with pytest.raises(InputError, match=rf"{FOLDER}/{name}' cannot be read: Permission denied"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_a_damaged_file_is_named(name: str, archive: bytes, tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(archive)
    load(tmp_path)
    path = tmp_path / FOLDER / name
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match=rf"{FOLDER}/{name}' is damaged: its checksum"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=rf"{FOLDER}/{name}' is missing"):
        load(tmp_path)
