"""What stays of a run: records, checkpoints, the folder they are in."""
