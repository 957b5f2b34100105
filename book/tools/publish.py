"""Put the notebooks of the built pages on the branch that Colab opens them from.

    COURSE_REPOSITORY=https://github.com/OWNER/REPO COURSE_URL=… make book
    python book/tools/publish.py          # or another remote than origin

A notebook cannot know where it was opened from. So the build writes into each one which commit of
which repository its page was made with. The branch holds these notebooks and no history.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "_build" / "html" / "_sources"
BRANCH = "published"  # book/_ext/address.py leads the buttons there


def publish(remote: str, built: Path = BUILT) -> None:
    """Push the notebooks under `built`, and nothing else, as one commit."""
    commit = git("rev-parse", "HEAD")
    check(sorted(built.rglob("*.ipynb")), commit, built)
    name, mail, date = git("log", "-1", "--format=%an%n%ae%n%aI").split("\n")
    who = {"NAME": name, "EMAIL": mail, "DATE": date}
    with tempfile.TemporaryDirectory() as folder:
        apart = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
        apart |= {"GIT_DIR": git("rev-parse", "--absolute-git-dir"), "GIT_WORK_TREE": str(built)}
        apart |= {"GIT_INDEX_FILE": f"{folder}/index"}  # what is checked out stays as it is
        git("add", "--force", "--", "*.ipynb", **apart)
        tree = git("write-tree", **apart)
        made = git("commit-tree", tree, "-m", f"The notebooks of {commit}, as published", **apart)
    git("push", "--force", remote, f"{made}:refs/heads/{BRANCH}")


def check(notebooks: list[Path], commit: str, built: Path) -> None:
    """Refuse notebooks that would install something else than what their pages were made with."""
    if not notebooks:
        raise SystemExit(f"no notebooks in {built}: run `make book` first")
    for path in notebooks:
        if f"@{commit}" not in path.read_text(encoding="utf-8"):
            raise SystemExit(
                f"{path.name} does not install commit {commit}: build the book of this commit, "
                f"with COURSE_REPOSITORY=https://github.com/OWNER/REPO"
            )


def git(*words: str, **variables: str) -> str:
    """Run git, perhaps with variables of its own; return what it says."""
    folder = variables.get("GIT_WORK_TREE", ROOT)
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


if __name__ == "__main__":
    publish(*sys.argv[1:2] or ["origin"])
