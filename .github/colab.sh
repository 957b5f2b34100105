#!/usr/bin/env bash
# In Colab's image: each notebook alone in an empty folder, as Colab opens it. Its setup cell installs
# $CILKIT_SOURCE, and must leave torch and numpy as they were: a reader would have to restart.
set -uo pipefail

theirs() { python3 -m pip freeze 2>/dev/null | grep -E '^(torch|torchvision|numpy)\b'; }

before=$(theirs)
failed=0
for path in "$@"; do
    folder=$(mktemp -d)
    cp "$path" "$folder/notebook.ipynb"
    echo "== $path"
    (cd "$folder" && time jupyter execute --timeout=1200 notebook.ipynb) || failed=1
done
if [ "$before" != "$(theirs)" ]; then
    echo "the setup cell changed Colab's own packages:"
    diff <(echo "$before") <(theirs)
    failed=1
fi
exit $failed
