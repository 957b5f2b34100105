"""Who watches a run, and what is drawn of it."""
