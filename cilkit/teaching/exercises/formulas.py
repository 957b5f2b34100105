"""The exercises about the three formulas: written once more, or with one thing changed."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.functional import alignment, distillation_loss, herd
from cilkit.teaching.exercises.trying import Exercise, on


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Return numbers that are the same each time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


# Herding, and its rival of chapter 3.


def closest(features: Tensor, m: int, *, to: float | None = None) -> Tensor:
    """Return the rows that are closest to the mean of all, or to another place."""
    centre = features.mean(0) if to is None else to
    return (features - centre).norm(dim=1).argsort(stable=True)[:m]


def farthest(features: Tensor, m: int) -> Tensor:
    """Begin with the row that is farthest."""
    return closest(features, len(features)).flip(0)[:m]


def first_rows(features: Tensor, m: int) -> Tensor:
    """Do not look."""
    return torch.arange(m)


def herd_again(features: Tensor, m: int) -> Tensor:
    """Herd as Algorithm 4 is written: a row may be chosen twice."""
    chosen: list[int] = []
    for k in range(1, m + 1):
        means = (features + features[chosen].sum(0)) / k
        chosen.append(int((means - features.mean(0)).norm(dim=1).argmin()))
    return torch.tensor(chosen)


LINE = torch.tensor([[0.0], [1.0], [4.0], [5.0], [10.0]])
ROWS = {"Features 0, 1, 4, 5, 10 and m = 4": (LINE, 4), "12 rows and m = 4": (noise(12, 3), 4)}
UNSORTED = "The best is to come first; sorting the indices loses that."
BLIND = "Those are the first m rows, wherever they lie."

CLOSEST = Exercise(
    closest,
    on(ROWS),
    {
        BLIND: first_rows,
        "That is herding. Here each row is judged for itself.": herd,
        "Those are the farthest: smallest distance first.": farthest,
        "Those are closest to zero, not to the mean.": lambda rows, m: closest(rows, m, to=0.0),
        UNSORTED: lambda rows, m: closest(rows, m).sort().values,
    },
)
HERD = Exercise(
    herd,
    on(ROWS),
    {
        BLIND: first_rows,
        "Each row is judged for itself; herding looks at the mean of all that are chosen.": closest,
        "A row is chosen twice: leave out those that are taken.": herd_again,
        UNSORTED: lambda rows, m: herd(rows, m).sort().values,
    },
)

# Distillation, and WA's mix of chapter 4.


def mixed(o: Tensor, taught: Tensor, labels: Tensor, T: float = 2.0) -> Tensor:
    """Return WA's mix of cross-entropy and distillation."""
    return labels_part(o, taught, labels) + teachers_part(o, taught, T)


def labels_part(o: Tensor, taught: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy, weighed by the share of new classes."""
    return (1 - share_of_old(o, taught)) * F.cross_entropy(o, labels)


def teachers_part(o: Tensor, taught: Tensor, T: float) -> Tensor:
    """Return the distillation, weighed by the share of old classes."""
    return share_of_old(o, taught) * distillation_loss(o[:, : taught.shape[1]], taught, T)


def share_of_old(o: Tensor, taught: Tensor) -> float:
    """Return n / (n + m)."""
    return taught.shape[1] / o.shape[1]


def exchanged(o: Tensor, taught: Tensor, labels: Tensor, T: float = 2.0) -> Tensor:
    """Give each loss the other one's weight."""
    lam = share_of_old(o, taught)
    labels_and_teacher = labels_part(o, taught, labels), teachers_part(o, taught, T)
    return labels_and_teacher[0] * lam / (1 - lam) + labels_and_teacher[1] * (1 - lam) / lam


def turned(o: Tensor, taught: Tensor, labels: Tensor, T: float = 2.0) -> Tensor:
    """Let the teacher learn from the student."""
    kd = distillation_loss(taught, o[:, : taught.shape[1]], T)
    return labels_part(o, taught, labels) + share_of_old(o, taught) * kd


LABELS = torch.tensor([0, 1, 2, 3, 4, 4])
MIX = Exercise(
    mixed,
    on(
        {
            "5 classes, 3 of them old": (noise(6, 5), noise(6, 3, seed=1), LABELS),
            "5 classes, 4 of them old, T = 3": (noise(6, 5), noise(6, 4, seed=2), LABELS, 3.0),
        }
    ),
    {
        "The teacher is not heard: that is the cross-entropy alone.": lambda o, t, y, T=2.0: (
            F.cross_entropy(o, y)
        ),
        "The labels are not heard: that is λ times the distillation.": lambda o, t, y, T=2.0: (
            teachers_part(o, t, T)
        ),
        "The weights have changed places: λ is the teacher's, 1 - λ the labels'.": exchanged,
        "The cross-entropy keeps its whole weight; here it has 1 - λ.": lambda o, t, y, T=2.0: (
            F.cross_entropy(o, y) + teachers_part(o, t, T)
        ),
        "λ is missing: both losses are added as they are.": lambda o, t, y, T=2.0: (
            F.cross_entropy(o, y) + distillation_loss(o[:, : t.shape[1]], t, T)
        ),
        "T is not handed on: the distillation takes its own.": lambda o, t, y, T=2.0: mixed(
            o, t, y, 2.0
        ),
        "There is a T² too much: WA's mix has none.": lambda o, t, y, T=2.0: (
            labels_part(o, t, y) + T * T * teachers_part(o, t, T)
        ),
        "Teacher and student have changed places.": turned,
    },
)


def terms(student: Tensor, teacher: Tensor, T: float) -> Tensor:
    """Return what each class of each image adds to the KL divergence: (B, C)."""
    log_q, p = F.log_softmax(student / T, 1), F.softmax(teacher / T, 1)
    return F.kl_div(log_q, p, reduction="none")


DISTILLATION = Exercise(
    distillation_loss,
    on(
        {
            "2 images, 3 classes, T = 2": (noise(2, 3), noise(2, 3, seed=1), 2.0),
            "4 images, 5 classes, T = 4": (noise(4, 5), noise(4, 5, seed=1), 4.0),
        }
    ),
    {
        "T is not used.": lambda s, t, T: distillation_loss(s, t, 1.0),
        "There is a T² too much; it belongs to the mix.": lambda s, t, T: (
            T * T * distillation_loss(s, t, T)
        ),
        "Teacher and student have changed places.": lambda s, t, T: distillation_loss(t, s, T),
        "That is the cross-entropy: it trains alike, but does not end at 0.": lambda s, t, T: (
            F.cross_entropy(s / T, (t / T).softmax(1))
        ),
        "Images are added up; they want their mean.": lambda s, t, T: terms(s, t, T).sum(),
        "The mean goes over classes, too; they want their sum.": lambda s, t, T: terms(
            s, t, T
        ).mean(),
    },
)

# Alignment, and the one of chapter 5 that treats each prototype by itself.


def align_each(weight: Tensor, n_old: int, length: float | None = None) -> Tensor:
    """Return the prototypes, each new one as long as old ones are on average, or of a length."""
    norms = weight.norm(dim=1, keepdim=True)
    target = norms[:n_old].mean() if length is None else length
    return torch.cat([weight[:n_old], weight[n_old:] * target / norms[n_old:]])


def align_together(weight: Tensor, n_old: int) -> Tensor:
    """Multiply all new prototypes by γ, as WA does."""
    return torch.cat([weight[:n_old], weight[n_old:] * alignment(weight, n_old)])


def align_old_ones_too(weight: Tensor, n_old: int) -> Tensor:
    """Give old ones the same length, too."""
    norms = weight.norm(dim=1, keepdim=True)
    return weight * norms[:n_old].mean() / norms


def align_in_place(weight: Tensor, n_old: int) -> Tensor:
    """Change the matrix that is given."""
    weight[:] = align_each(weight, n_old)
    return weight


MATRICES = {
    "Old rows (3, 0) and (0, 1), new ones (8, 6) and (0, 0.5)": (
        torch.tensor([[3.0, 0.0], [0.0, 1.0], [8.0, 6.0], [0.0, 0.5]]),
        2,
    ),
    "Three old rows and two new ones": (noise(5, 4), 3),
}
EACH = Exercise(
    align_each,
    on(MATRICES),
    {
        "Nothing has changed.": lambda w, n: w.clone(),
        "That is WA's one γ for all; here each new prototype has its own.": align_together,
        "The new ones have length 1, and not the mean length of the old.": lambda w, n: align_each(
            w, n, 1.0
        ),
        "The old prototypes have changed, too.": align_old_ones_too,
        "The matrix that was given has changed: work on a copy.": align_in_place,
    },
)


# The nearest mean of chapter 10.


def by_cosine(features: Tensor, means: Tensor) -> Tensor:
    """Return the class whose mean has the largest cosine, (N,)."""
    return (features @ F.normalize(means).T).argmax(1)


PLANE = torch.tensor([[3.0, 1.0], [1.0, 2.0], [9.0, 3.0], [0.1, 0.1]])
COSINE = Exercise(
    by_cosine,
    on(
        {
            "Means (1, 0) and (6, 8)": (PLANE, torch.tensor([[1.0, 0.0], [6.0, 8.0]])),
            "Three means": (noise(8, 4), noise(3, 4, seed=1) * torch.tensor([[1.0], [3.0], [9.0]])),
        }
    ),
    {
        "A longer mean wins too often: give all means length 1.": lambda f, m: (f @ m.T).argmax(1),
        "That is the nearest mean; asked is the cosine.": lambda f, m: torch.cdist(
            f.double(), m.double()
        ).argmin(1),
        "Those are the cosines; asked are the classes.": lambda f, m: (
            F.normalize(f) @ F.normalize(m).T
        ),
        "That is the smallest cosine.": lambda f, m: (f @ F.normalize(m).T).argmin(1),
    },
)
GAMMA = Exercise(
    alignment,
    on(MATRICES),
    {
        "That is new over old: long ones would get longer.": lambda w, n: 1 / alignment(w, n),
        "Those are sums; groups of different sizes want means.": lambda w, n: (
            w[:n].norm(dim=1).sum() / w[n:].norm(dim=1).sum()
        ),
        "That is the length of the mean; asked is the mean of the lengths.": lambda w, n: (
            w[:n].mean(0).norm() / w[n:].mean(0).norm()
        ),
        "That is the norm of a whole matrix; each row has its own.": lambda w, n: (
            w[:n].norm() / w[n:].norm()
        ),
    },
)
