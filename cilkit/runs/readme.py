"""A text in each run's folder, and in each comparison's, that says what lies there."""

from pathlib import Path

from cilkit.runs.outputs import README, README_BEGINS

KEPT = """records.jsonl: settings, versions and machine; then a line for each epoch and each stage.
checkpoint.safetensors: the model, and all that cilkit predict, export, extend and --resume need.
checkpoint.previous.safetensors: the one before, in case the newest gets damaged; it may be deleted.
stages: the network after each stage, if --keep-stages was given; they may be deleted.
"""
OF_A_RUN = f"""{README_BEGINS} run. --resume needs the data set, and extend the exemplars' files.
{KEPT}summary.json: the last and the average accuracy, in percent.
*.png: figures, which cilkit plot draws again from the records alone.
epochs.csv, stages.csv, events.out.tfevents.*: the same for tables and TensorBoard, if asked for.
exemplars: copies of those files, if --keep-pixels was given: extend needs no others then.
"""
OF_A_COMPARISON = f"""{README_BEGINS} comparison. With --resume, more methods and seeds join it.
summary.json: the last and the average accuracy of each method's runs, in percent.
*.png: figures, which cilkit plot draws again; those with a method's name are of its first run.
first-stage-*: the stage that methods share; may be deleted: another method would train it again.
*-seed*: the runs, which cilkit predict, export and extend take. In each of their folders:
{KEPT}"""


def write_readme(out: Path, text: str) -> None:
    """Leave a text in a folder."""
    (out / README).write_text(text, encoding="utf-8")
