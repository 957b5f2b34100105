"""The how-to pages: one form, results of any machine; and the script for Slurm does as it says."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from ipython_pygments_lexers import IPython3Lexer
from PIL import Image
from pygments.token import Error
from test_notebooks import HOW_TO, ROOT, cells, prose, source

from cilkit.teaching import letter_files

TOC = (ROOT / "_toc.yml").read_text(encoding="utf-8")
each_page = pytest.mark.parametrize("path", HOW_TO, ids=lambda path: path.stem)


@each_page
def test_a_page_ends_with_what_may_go_wrong_and_where_more_is_said(path: Path) -> None:
    headings = re.findall(r"^## (.+)$", prose(path), re.MULTILINE)
    assert headings.count("What may go wrong") == 1
    assert "](../troubleshooting.md)" in prose(path).split("## What may go wrong")[1]


@each_page
def test_a_page_shows_what_a_command_says(path: Path) -> None:
    typed = re.compile(r"^(?:%run -m cilkit|%%bash)", re.MULTILINE)
    said = [cell["outputs"] for cell in cells(path, "code") if typed.search(source(cell))]
    assert any(said)


@each_page
def test_results_tell_nothing_of_the_machine(path: Path) -> None:
    outputs = [output for cell in cells(path, "code") for output in cell["outputs"]]
    said = "".join("".join(output.get("text", [])) for output in outputs)
    assert re.findall(r"/tmp|/home|/root|site-packages| left$|\d s\b", said, re.MULTILINE) == []


@each_page
def test_the_book_can_colour_every_cell(path: Path) -> None:
    """Sphinx warns of a cell that its lexer cannot read, which stops `make book`."""
    lexer = IPython3Lexer()
    for cell in cells(path, "code"):
        kinds = {kind for kind, _ in lexer.get_tokens(source(cell))}
        assert Error not in kinds, source(cell)


@each_page
def test_a_page_leads_to_files_that_are_there(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", prose(path))
    assert [to for to in links if not (path.parent / to).exists()] == []


def test_the_part_of_the_book_holds_every_page() -> None:
    listed = re.findall(r"file: book/howto/(\w+)", TOC)
    assert sorted(listed) == [path.stem for path in HOW_TO]


def test_letters_are_the_same_twice_and_no_two_alike(tmp_path: Path) -> None:
    for name in ("one", "two"):
        letter_files(tmp_path / name, "AÄ", each=3)
    found = sorted(path.relative_to(tmp_path / "one") for path in tmp_path.glob("one/*/*"))
    assert [str(path) for path in found] == [f"{x}/{i}.png" for x in "AÄ" for i in range(3)]
    contents = [(tmp_path / "one" / path).read_bytes() for path in found]
    assert contents == [(tmp_path / "two" / path).read_bytes() for path in found]
    assert len({*contents}) == len(found)
    with Image.open(tmp_path / "one" / found[0]) as image:
        assert (image.size, image.mode) == ((32, 32), "L")


SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_NNODES": "2",
    "SLURM_GPUS_ON_NODE": "4",
    "SLURM_JOB_NODELIST": "node[1-2]",
}


def queued(folder: Path, training: str) -> subprocess.Popen[str]:
    """Start the page's script where programs of ours play Slurm's, and `training` plays torchrun.

    What Slurm is asked for is in the file `asked`.
    """
    page = cells(ROOT / "book" / "howto" / "cluster.ipynb", "code")
    [script] = re.findall(r"<<'END'\n(.+)\nEND", "\n".join(map(source, page)), re.DOTALL)
    programs = {"srun": 'exec "$@"', "torchrun": training}
    programs["scontrol"] = 'echo "$@" >>asked; printf "node1\\nnode2\\n"'
    for name, does in programs.items():
        (folder / name).write_text(f"#!/bin/bash\n{does}\n")
        (folder / name).chmod(0o755)
    (folder / "train.sbatch").write_text(script)
    here = {"PATH": f"{folder}:{os.environ['PATH']}"}
    words = ["bash", "train.sbatch", "--preset", "digits", "--out", "runs"]
    return subprocess.Popen(
        words, cwd=folder, env=os.environ | here | SLURM, stdout=subprocess.PIPE, text=True
    )


def test_the_script_starts_the_run_on_all_machines_with_resume(tmp_path: Path) -> None:
    said, _ = queued(tmp_path, 'echo "$@"').communicate(timeout=60)
    machines = "--nnodes 2 --nproc-per-node 4 --max-restarts 3"
    meeting = "--rdzv-backend c10d --rdzv-endpoint node1:29511 --rdzv-id 7"
    assert said == f"{machines} {meeting} -m cilkit run --preset digits --out runs --resume\n"
    assert (tmp_path / "asked").read_text() == "show hostnames node[1-2]\n"


def test_the_script_lets_the_run_save_and_then_queues_the_job_again(tmp_path: Path) -> None:
    saving = "trap 'echo saved; exit 143' TERM; echo ready; while :; do sleep 0.05; done"
    job = queued(tmp_path, saving)
    assert job.stdout is not None
    assert job.stdout.readline() == "ready\n"
    job.terminate()
    said, _ = job.communicate(timeout=60)
    assert said.startswith("saved\n")
    assert (tmp_path / "asked").read_text().splitlines()[1:] == ["requeue 7"]
