"""A text in each run's folder that says what lies there."""

from pathlib import Path

from cilkit.runs.outputs import README, README_BEGINS

TEXT = f"""{README_BEGINS} --resume needs the data set, and extend the exemplars' files.
records.jsonl: settings, versions and machine; then a line for each epoch and each stage.
checkpoint.safetensors: the model, and all that cilkit predict, export, extend and --resume need.
checkpoint.previous.safetensors: the one before, in case the newest gets damaged; it may be deleted.
summary.json: the last and the average accuracy, in percent.
*.png: figures, which cilkit plot draws again from the records alone.
epochs.csv, stages.csv, events.out.tfevents.*: the same for tables and TensorBoard, if asked for.
exemplars: copies of those files, if --keep-pixels was given: extend needs no others then.
stages: the network after each stage, if --keep-stages was given; they may be deleted.
"""


def write_readme(out: Path) -> None:
    """Leave the text in a folder."""
    (out / README).write_text(TEXT, encoding="utf-8")
