"""The workflows, which run elsewhere: their form, their rights, and what they name."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path
from sysconfig import get_path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What may do more than read, and what for.
RIGHTS = {
    ("publish", "build"): {"contents": "read", "pages": "read"},
    ("publish", "notebooks"): {"contents": "write"},
    ("publish", "deploy"): {"pages": "write", "id-token": "write"},
    ("release", "publish"): {"id-token": "write"},
}
FORMS = {
    "github-workflows": [str(path) for path in WORKFLOWS],
    "dependabot": [str(GITHUB / "dependabot.yml")],
    "github-issue-forms": [str(path) for path in (GITHUB / "ISSUE_TEMPLATE").glob("[0-9]*.yml")],
    "github-issue-config": [str(GITHUB / "ISSUE_TEMPLATE" / "config.yml")],
    "citation-file-format": [str(ROOT / "CITATION.cff")],
}
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def tool(name: str, *words: str) -> str:
    """Run a program of this environment; return what is wrong, "" if nothing is."""
    program = Path(get_path("scripts")) / name
    done = subprocess.run([program, *words], capture_output=True, text=True, cwd=ROOT)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_there_are_four_workflows() -> None:
    assert [path.stem for path in WORKFLOWS] == ["checks", "publish", "release", "weekly"]


@pytest.mark.parametrize("form", FORMS)
def test_files_for_the_host_have_the_form_that_it_expects(form: str) -> None:
    assert tool("check-jsonschema", "--builtin-schema", f"vendor.{form}", *FORMS[form]) == ""


def test_the_workflows_hold_nothing_that_is_known_to_be_unsafe() -> None:
    assert tool("zizmor", "--offline", "--no-progress", "--quiet", str(GITHUB)) == ""


@each_workflow
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(path: Path) -> None:
    lines = re.findall(r"uses: (.+)", path.read_text(encoding="utf-8"))
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


def test_an_action_is_the_same_version_in_every_workflow() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w./-]+)@(\w+)", text))
    assert len(pins) == len({action for action, _ in pins})


@each_workflow
def test_a_workflow_may_only_read_and_a_job_more_only_where_it_is_listed(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}
    more = {
        (path.stem, name): job["permissions"]
        for name, job in jobs(path).items()
        if "permissions" in job
    }
    assert more == {key: rights for key, rights in RIGHTS.items() if key[0] == path.stem}


@each_workflow
def test_every_job_ends_by_itself(path: Path) -> None:
    assert all(job["timeout-minutes"] <= 180 for job in jobs(path).values())


@each_workflow
def test_a_workflow_does_not_name_the_repository_it_is_in(path: Path) -> None:
    owner_and_name = PROJECT["urls"]["Source"].removeprefix("https://github.com/")
    assert owner_and_name not in path.read_text(encoding="utf-8")


@each_workflow
def test_a_workflow_makes_what_the_makefile_knows_and_runs_files_that_are_there(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    said = "\n".join(command for job in jobs(path).values() for command in commands(job))
    for target in re.findall(r"\bmake (\w+)", said):
        assert f"\n{target}:" in makefile
    for file in re.findall(
        r"(?:(?<=python3 )|(?<=/course/)|^)((?:book|\.github|\.ci)/[\w./]+)", said
    ):
        assert (ROOT / file).is_file()


@pytest.mark.parametrize(("workflow", "job"), [("checks", "checks"), ("weekly", "newest")])
def test_the_checks_are_those_of_the_readme_in_a_container_where_they_may_install(
    workflow: str, job: str
) -> None:
    found = jobs(GITHUB / "workflows" / f"{workflow}.yml")[job]
    assert ".ci/run" in commands(found)
    assert found["container"]["image"].startswith("python:")
    assert found["steps"][0]["with"]["fetch-depth"] == 0, "the notebooks are installed from it"


def test_checks_run_on_the_lowest_python_and_on_stored_and_newest_versions() -> None:
    matrix = jobs(GITHUB / "workflows" / "checks.yml")["checks"]["strategy"]["matrix"]
    assert f">={matrix['python'][0]}" == PROJECT["requires-python"]
    highest = PROJECT["classifiers"][-1].removeprefix("Programming Language :: Python :: ")
    assert matrix["python"] == ["3.11", highest]
    assert matrix["requirements"] == ["requirements.txt", ".ci/newest.txt"]
    assert all((ROOT / name).is_file() for name in matrix["requirements"])


def test_the_newest_versions_are_of_the_packages_whose_versions_are_stored() -> None:
    """What requirements.txt pins, pyproject.toml names: the newest would lack it otherwise."""
    asked = (ROOT / ".ci" / "newest.txt").read_text(encoding="utf-8").split("[")[1].split("]")[0]
    extras = [PROJECT["optional-dependencies"][extra] for extra in asked.split(",")]
    named = {name_of(line) for line in chain(PROJECT["dependencies"], *extras)}
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pinned = {name_of(line) for line in text.splitlines() if not line.startswith("#")}
    assert pinned - named == set()


def name_of(requirement: str) -> str:
    """Return the name of a package in a line that asks for it."""
    return re.split(r"[=<>\s;\[]", requirement)[0].lower()


def test_published_pages_are_told_their_own_address() -> None:
    build = jobs(GITHUB / "workflows" / "publish.yml")["build"]
    [step] = [step for step in build["steps"] if step.get("run") == "make book"]
    assert step["env"] == {
        "COURSE_REPOSITORY": "${{ github.server_url }}/${{ github.repository }}",
        "COURSE_URL": "${{ steps.pages.outputs.base_url }}",
    }


def test_the_pages_are_shown_only_when_the_notebooks_they_lead_to_are_there() -> None:
    publish = jobs(GITHUB / "workflows" / "publish.yml")
    assert publish["deploy"]["needs"] == "notebooks"
    assert publish["notebooks"]["needs"] == "build"


def test_a_release_is_published_by_a_job_that_runs_no_code_of_ours() -> None:
    publish = jobs(GITHUB / "workflows" / "release.yml")["publish"]
    assert commands(publish) == []
    assert publish["environment"] == "pypi"
