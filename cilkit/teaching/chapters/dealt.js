// Chapter 1: which class arrives in which stage. See setting.py.
cilkitAlive("dealt", ({ n_classes }, { class_order, class_increments }) => {
  const { text, rect } = cilkitSvg;
  const draw = ({ base, increment, seed }) => {
    const { sizes, wrong } = class_increments(base, increment, n_classes, "the data set");
    if (wrong) return { marks: [""], says: wrong };
    const order = class_order(seed, n_classes), stages = sizes.flatMap((size, stage) => new Array(size).fill(stage));
    const marks = order.map((label, place) => {
      const x = 60 + 28 * (place % 10), y = 20 + 22 * Math.floor(place / 10), stage = stages[place];
      return rect(x, y, 28, 21, stage % 2 ? "shade" : "shade on") + text(x + 14, y + 15, label, "middle")
        + (place % 10 ? "" : text(20, y + 15, stage + 1, "middle"));
    });
    const first = order.slice(0, sizes[0]).slice(0, 10).join(", "), more = sizes[0] > 10 ? " ..." : "";
    return { marks: [marks.join("")], says: `B${base}-${increment}, seed ${seed}: ${sizes.length} stages. The first brings ${first}${more}` };
  };
  return { draw };
});
