"""A file from the network: with a progress bar, resumed where it broke off, and checked."""

import errno
import hashlib
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from cilkit.errors import InputError
from cilkit.machine.lock import held

TIMEOUT = 60.0  # seconds without a byte
WAITS = (1.0, 5.0, 30.0)  # seconds before it is tried again, while nothing comes
BLOCK = 1 << 16
FULL = (errno.ENOSPC, errno.EDQUOT)  # a disk that is full stays so


def fetch(url: str, path: Path, md5: str) -> None:
    """Download `url` to `path`; what an earlier attempt left in `path`.part is gone on with.

    Raises `InputError` if it cannot be had, is not what was expected, or is being fetched already.
    """
    part = path.with_name(f"{path.name}.part")
    with held(path.parent):
        fetch_all(url, part)
        if md5_of(part) != md5:
            part.unlink()
            raise InputError(
                f"{url} sent something else than expected: its checksum is another one"
            )
        part.replace(path)


def fetch_all(url: str, part: Path) -> None:
    """Fetch what is lacking, in as many attempts as bring something, and a few that do not."""
    fruitless = 0
    while True:
        before = size_of(part)
        try:
            return fetch_rest(url, part)
        except (OSError, HTTPException) as error:
            fruitless = 0 if size_of(part) > before else fruitless + 1
            refused = isinstance(error, HTTPError) and error.code < 500
            refused |= getattr(error, "errno", None) in FULL
            if refused or fruitless > len(WAITS):
                raise InputError(
                    f"{url} could not be fetched ({error}); {size_of(part):,} bytes are in "
                    f"{str(part)!r}, and the same command goes on from there"
                ) from error
            time.sleep(WAITS[max(0, fruitless - 1)])


def fetch_rest(url: str, part: Path) -> None:
    """Add to the file `part` what it lacks; raise `OSError` or `HTTPException` on the way."""
    have = size_of(part)
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # nothing is missing
            return
        raise
    with answer:
        have = have if answer.status == 206 else 0  # some servers know no parts, and start over
        total = have + int(answer.headers.get("Content-Length", 0))
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(None, part.stem, total, initial=have, unit="B", unit_scale=True) as bar,
        ):
            while block := answer.read(BLOCK):
                file.write(block)
                bar.update(len(block))
    if size_of(part) < total:
        raise ConnectionError(f"the connection ended after {size_of(part):,} of {total:,} bytes")


def size_of(path: Path) -> int:
    """Return a file's size, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def md5_of(path: Path) -> str:
    """Return a file's MD5, which is what the public servers name."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
