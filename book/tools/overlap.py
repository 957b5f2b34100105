"""How often does a network name images of CIFAR-100 that has learned ImageNet alone? Chapter 10.

    python book/tools/overlap.py photographs.npz      # as `cilkit features` wrote it

Its own classifier chooses among those classes of ImageNet whose name, or a synonym of it, is that
of a class of CIFAR-100; into cilkit/results/features/overlap.json.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.data import ImageNetInfo

from cilkit.backbones.pretrained import weights_of
from cilkit.runs.provenance import machine, versions

FILE = Path(__file__).parents[2] / "cilkit" / "results" / "features" / "overlap.json"
FALSE_FRIENDS = {"mouse"}  # ImageNet's is the computer's


def synonyms() -> dict[str, int]:
    """Return ImageNet's classes by each of their names, the first one that has it."""
    info, found = ImageNetInfo(), dict[str, int]()
    for label in range(1000):
        for name in info.index_to_description(label).split(","):
            found.setdefault(name.strip().lower(), label)
    return found


def measured(file: Path) -> dict[str, Any]:
    """Return which classes both have, and the percentage of their test images that is right."""
    known, weights = synonyms(), weights_of("tf_efficientnet_lite0")
    with np.load(file) as arrays:
        names = [str(name).replace("_", " ") for name in arrays["class_names"]]
        both = [c for c, name in enumerate(names) if name in known.keys() - FALSE_FRIENDS]
        rows = np.isin(arrays["test_labels"], both)
        pixels, labels = arrays["test_images"][rows, 0], arrays["test_labels"][rows]
        features = torch.from_numpy((pixels / 255 - arrays["mean"]) / arrays["std"]).float()
    logits = features @ weights["classifier.weight"].T + weights["classifier.bias"]
    chosen = logits[:, [known[names[c]] for c in both]].argmax(1).numpy()
    right = np.array(both)[chosen] == labels
    return {"classes": [names[c] for c in both], "images": len(right), "right": 100 * right.mean()}


if __name__ == "__main__":
    found = measured(Path(sys.argv[1]))
    made = {"versions": versions(), "machine": machine()}
    made["started"] = datetime.now(UTC).isoformat(timespec="seconds")
    FILE.write_text(
        json.dumps(found | {"made": made}, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
