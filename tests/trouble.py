"""`cilkit` with trouble at will, in processes of its own.

`TROUBLE="SIGKILL 1 5" python tests/trouble.py run ...` is `cilkit run ...` whose process 1 gets
SIGKILL at its fifth step; "sleep 1 5" makes it hang there, with "nan 1 5" its loss is no number any
more, with "memory 1 5" it gets no memory, with "worker 1 5" a worker of its own is killed, with
"deaf 1 5" a worker is halted, and with "drift 1 5" its weights go ways of their own. A restarted
process has no trouble.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from multiprocessing import active_children, get_context
from multiprocessing.context import ForkServerProcess as Process
from pathlib import Path
from socket import create_server
from typing import Any

import torch
from torch import Tensor

from cilkit.cli import main
from cilkit.machine.processes import is_restarted
from cilkit.progress import Progress

# Processes fork from a server that has imported all that is slow: they start at once.
WARM = get_context("forkserver")
SLOW = [
    "cilkit.cli",
    "cilkit.experiment",
    "cilkit.show.save",
    "continuum",
    "matplotlib.backends.backend_agg",
]
SLOW += ["sklearn.datasets", "sklearn.model_selection"]
WARM.set_forkserver_preload(SLOW)
PATIENCE = 600  # seconds until what hangs is given up, on however crowded a machine


def start(function: Callable[..., None], *arguments: Any, size: int, log: Path) -> list[Process]:
    """Start `size` processes as torchrun would; what they print goes to the file `log`."""
    port = free_port()
    ranks = [
        WARM.Process(target=begin, args=(place(rank, size, port), log, function, arguments))
        for rank in range(size)
    ]
    for process in ranks:
        process.start()
    return ranks


def warm_up() -> None:
    """Wait until the server has imported everything."""
    process = WARM.Process(target=int)
    process.start()
    process.join()


def free_port() -> int:
    """Return a port that nobody listens to."""
    with create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def place(rank: int, size: int, port: int) -> dict[str, str]:
    """Return what torchrun tells a process of its place; one alone needs no torchrun."""
    if size == 1:
        return {}
    ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    return ranks | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def begin(
    place: dict[str, str], log: Path, function: Callable[..., None], arguments: Sequence[Any]
) -> None:
    """Call `function` in a process that is new."""
    os.environ |= place
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(file, stream.fileno())
    function(*arguments)


def finish(ranks: Sequence[Process], patience: float = PATIENCE) -> list[int | None]:
    """Wait for processes, but not for ever; return their exit statuses, a signal's as negative."""
    for process in ranks:
        process.join(patience)
        process.kill()
        process.join()
    return [process.exitcode for process in ranks]


def cilkit(words: Sequence[str], trouble: str = "") -> None:
    """Do what the command line does, in trouble if there is any, and exit with its status."""
    if trouble:
        cause(trouble)
    sys.exit(main(words))


def cause(trouble: str) -> None:
    """Let this process get into trouble, if it is the one that is meant."""
    kind, process, step = trouble.split()
    if os.environ.get("RANK", "0") != process or is_restarted():
        return
    finish_step, steps = Progress.finish_step, count(1)

    def finish_in_trouble(progress: Progress, number: int, values: dict[str, Tensor]) -> None:
        if next(steps) == int(step):
            befall(kind, progress, values)
        finish_step(progress, number, values)

    # Trouble is made inside the program; mypy allows no method to be replaced.
    Progress.finish_step = finish_in_trouble  # type: ignore[method-assign]


def befall(kind: str, progress: Progress, values: dict[str, Tensor]) -> None:
    """Hang, lose a loss, memory, a worker or the way of the others, or get a signal."""
    if kind == "sleep":
        time.sleep(2 * PATIENCE)
    elif kind == "nan":
        values["ce"] = values["ce"] * float("nan")
    elif kind == "memory":
        torch.empty(10**15)
    elif kind == "worker":
        active_children()[0].kill()
    elif kind == "deaf":
        os.kill(active_children()[0].pid or 0, signal.SIGSTOP)
    elif kind == "drift":
        assert progress.optimizer is not None
        progress.optimizer.param_groups[0]["params"][-1].data += 1e-3
    else:
        signal.raise_signal(signal.Signals[kind])


if __name__ == "__main__":
    cilkit(sys.argv[1:], os.environ.get("TROUBLE", ""))
