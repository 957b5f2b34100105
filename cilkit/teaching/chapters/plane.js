// Chapter 5: two prototypes and the features of an image, as arrows to be dragged. See plane.py.
cilkitAlive("plane", () => {
  const { text, rect, plot, short } = cilkitSvg, size = 340, half = size / 2, unit = size / 3.2, far = 2 * size;
  const panel = plot({ x: [-0.7, 1.7], y: [-2, 2], width: 240, height: size });
  const vector = (length, angle) => [length * Math.cos(angle * Math.PI / 180), length * Math.sin(angle * Math.PI / 180)];
  const sum = (a, b) => a[0] * b[0] + a[1] * b[1];
  const round = (value) => Math.round(10 * value) / 10;

  const axes = `<path class="grid" d="M0 ${half}H${size}M${half} 0V${size}"/>`
    + rect(half, 1, half - 1, half - 1, "line faint", ' stroke-dasharray="4 4"') + text(size - 6, 14, "features lie here", "end");

  const sides = (old, fresh) => {
    const [x, y] = [fresh[0] - old[0], fresh[1] - old[1]];
    if (Math.hypot(x, y) < 0.005) return "";
    const turn = -Math.atan2(y, x) * 180 / Math.PI;
    return `<g transform="rotate(${turn.toFixed(1)} ${half} ${half})">`
      + rect(half, half - far, far, 2 * far, "new side") + rect(half - far, half - far, far, 2 * far, "old side")
      + `<path class="line" stroke-dasharray="7 5" d="M${half} ${half - far}V${half + far}"/></g>`;
  };

  const arrow = (name, end) => {
    const x = round(half + unit * end[0]), y = round(half - unit * end[1]), look = name === "image" ? "" : name;
    return `<path class="line ${look} arrow" d="M${half} ${half}L${short(x)} ${short(y)}"/><circle class="${look}" cx="${short(x)}" cy="${short(y)}" r="7"/>`
      + text(x + 10, y - 8, name === "image" ? "features" : name)
      + `<circle class="handle" data-handle="${name}" cx="${short(x)}" cy="${short(y)}" r="16"/>`;
  };

  const verdict = (old, fresh) => {
    const wins = Math.abs(old - fresh) < 0.005 ? "Neither wins" : fresh > old ? "New wins" : "Old wins";
    if (fresh < -0.005) return `${wins}. The new sum is negative: a longer new prototype loses by more`;
    if (fresh > 0.005) return `${wins}. The new sum is positive: a longer new prototype has a larger one`;
    return `${wins}. The new sum is zero: no length changes it`;
  };

  const draw = (state) => {
    const [old, fresh, image] = ["old", "new", "image"].map((name) => vector(state[`${name}_length`], state[`${name}_angle`]));
    const sums = [sum(old, image), sum(fresh, image)], [x, y] = panel.at(-0.7, 0);
    const zero = `<line class="axis" x1="${x}" y1="${y}" x2="${panel.at(1.7, 0)[0]}" y2="${y}"/>`;
    return {
      marks: [sides(old, fresh) + axes + arrow("old", old) + arrow("new", fresh) + arrow("image", image), panel.bars(sums, ["old", "new"]) + zero],
      says: `Sums: old ${sums[0].toFixed(2)}, new ${sums[1].toFixed(2)}. ${verdict(...sums)}`,
    };
  };

  // The end of an arrow goes where the pointer is; its field keeps what it may hold.
  const move = (name, [px, py]) => {
    const x = (px - half) / unit, y = (half - py) / unit;
    return { [`${name}_length`]: Math.hypot(x, y), [`${name}_angle`]: Math.atan2(y, x) * 180 / Math.PI };
  };
  return { draw, move };
});
