// Chapter 1: which classes' images a stage has. See setting.py.
cilkitAlive("hand", ({ files, names }, { class_order, class_increments }) => {
  const { text, rect, short } = cilkitSvg, n = names.length, cell = 34, side = 28, top = 22, rows = [0, 82];
  const image = (file, x, y, size) => `<image x="${short(x)}" y="${short(y)}" width="${size}" height="${size}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${file}"/>`;
  const framed = (file, x, y, name) => name
    ? rect(x - 2, y - 2, side + 4, side + 4, `line ${name}`) + image(file, x, y, side)
    : `<g class="faint">${image(file, x, y, side)}</g>`;

  const draw = ({ stage, base, increment, order, budget }) => {
    const { sizes, wrong } = class_increments(base, increment, n, "the data set");
    if (wrong) return { marks: [""], says: wrong };
    const arrival = order === "natural" ? names.map((_, label) => label) : class_order(+order, n);
    const now = Math.min(stage, sizes.length), first = (stages) => sizes.slice(0, stages).reduce((a, b) => a + b, 0);
    const n_old = first(now - 1), n_seen = first(now), share = n_old ? Math.floor(budget / n_old) : 0;
    const marks = arrival.map((label, place) => {
      const x = 4 + cell * place, file = files[0][label];
      const small = () => rect(x + 5, top - 2, side / 2 + 4, side / 2 + 4, "line old") + image(file, x + 7, top, side / 2) + text(x + side / 2, top + side, `×${share}`, "middle");
      const upper = place < n_old && share ? small() : framed(file, x, top + rows[0], place >= n_old && place < n_seen ? "new" : "");
      const lower = framed(files[1][label], x, top + rows[1], place < n_old ? "old" : place < n_seen ? "new" : "");
      const [name, again] = rows.map((y) => text(x + side / 2, top + y + side + 14, names[label], "middle"));
      return upper + name + lower + again;
    });
    const listed = (from, to) => arrival.slice(from, to).map((label) => names[label]).join(", ");
    const kept = share ? ` and ${share} of each of ${listed(0, n_old)}` : "";
    const says = `stage ${now} of ${sizes.length}: train on ${listed(n_old, n_seen)}${kept}; be tested on ${listed(0, n_seen)}`;
    return { marks: [marks.join("")], says, most: { stage: sizes.length } };
  };
  return { draw };
});
