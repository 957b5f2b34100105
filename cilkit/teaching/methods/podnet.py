"""PODNet: a map of the teacher's and one of the student's, by the sums of rows and columns."""

from torch import Tensor

from cilkit.methods.podnet import pod_loss, pooled
from cilkit.teaching.methods.pixels import training_digits
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import rect, shades, text

SIDE, CELL = 8, 16  # of the map; of a square in pixels
Bar = tuple[float, float, float, float]
LEFT, TOP, LONG = 8, 30, 190  # where the map begins; of a bar whose sum is 1


def maps() -> tuple[Tensor, Tensor]:
    """Return the teacher's map and the student's, (1, 1, 8, 8): a digit, and the same moved."""
    images = training_digits().images() / 255
    roomy = images[..., -1].sum((1, 2)) == 0  # nothing is lost at the right
    teacher = images[roomy][:1]
    return teacher, teacher.roll(1, dims=3)


def picture() -> Still:
    """Show both maps, each with the sums of its squares over rows and over columns."""
    teacher, student = maps()
    return Still(
        "What of a map must stay?",
        [
            Drawing(
                "A map of eight by eight squares, a digit. To the right of each row, and below "
                "each column, a bar for the sum of its squares.",
                text(4, 14, "the teacher's map") + marks(teacher),
                height=276,
            ),
            Drawing(
                "The same digit, one column further to the right. The bars of the rows are as "
                "they were. Those of the columns have moved by one; dashed outlines show the "
                "teacher's.",
                text(4, 14, "the student's map") + marks(student) + outlines(teacher),
                height=276,
            ),
        ],
        f"{2 * SIDE} sums, not {SIDE * SIDE} numbers. The student's map has moved by one column: "
        f"its rows agree with the teacher's, its columns do not, and the loss is "
        f"{float(pod_loss([student], [teacher])):.2f}. What keeps all sums costs nothing. The map "
        "here is a digit's pixels.",
    )


def bars_of(values: Tensor) -> list[Bar]:
    """Return the bars of a map's sums: left, top, width and height."""
    rows, columns = (part.tolist() for part in (LONG * pooled(values)[0]).split(SIDE))
    size, end = CELL - 3, SIDE * CELL + 6
    bars: list[Bar] = []
    bars += [(LEFT + end, TOP + CELL * i + 1, long, size) for i, long in enumerate(rows)]
    bars += [(LEFT + CELL * i + 1, TOP + end, size, long) for i, long in enumerate(columns)]
    return bars


def marks(values: Tensor) -> str:
    """Draw a map and its sums."""
    frame = rect(LEFT - 1, TOP - 1, SIDE * CELL + 1, SIDE * CELL + 1, "grid", ' fill="none"')
    sums = "".join(rect(*bar, "", ' fill-opacity=".6"') for bar in bars_of(values))
    end = SIDE * CELL + 6
    names = text(LEFT + end, TOP - 6, "sums of rows")
    names += text(LEFT + end, TOP + end + 12, "sums of columns")
    return frame + shades(values[0, 0], LEFT, TOP, CELL) + sums + names


def outlines(values: Tensor) -> str:
    """Draw the sums of another map over those."""
    dash = ' stroke-dasharray="3 2" style="stroke-width:1.5"'
    return "".join(rect(*bar, "line", dash) for bar in bars_of(values))
