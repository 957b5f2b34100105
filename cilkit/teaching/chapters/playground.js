// Chapter 3: herding with points that the reader moves, adds and removes. See playground.py.
cilkitAlive("playground", ({ draws }, { mean, herd }) => {
  const { text } = cilkitSvg, side = 340, radius = 9, most = 40, places = [[20, 0], [-20, 0], [0, 16], [0, -16]], wide = 10, high = 6;
  const read = (points) => points.match(/\S+ \S+/g).map((pair) => pair.split(" ").map(Number));
  const written = (points) => points.flat().map((value) => +value.toFixed(3)).join(" ");
  const gap = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  const middle = (points) => [0, 1].map((axis) => mean(points.map((point) => point[axis])));
  const of = (points, rows) => middle(rows.map((i) => points[i]));
  const apart = (points, rows) => gap(of(points, rows), middle(points));
  const chosen_of = (points, m, draw) => draw ? draws[draw - 1].filter((i) => i < points.length).slice(0, m) : herd(points.flat(), points.length, 2, m);
  const circle = ([x, y], name, r, more = "") => `<circle class="${name}" cx="${(side * x).toFixed(1)}" cy="${(side * y).toFixed(1)}" r="${r}"${more}/>`;

  const labels = (points, left) => {
    const taken = points.map(([x, y]) => [side * x, side * y, radius, radius]);
    const is_free = ([x, y]) => wide < x && x < side - wide && high < y && y < side - high
      && !taken.some(([at, on, w, h]) => Math.abs(x - at) < wide + w && Math.abs(y - on) < high + h);
    return left.map(([i, far]) => {
      const spot = places.map(([right, down]) => [taken[i][0] + right, taken[i][1] + down]).find(is_free);
      if (!spot) return "";
      taken.push([...spot, wide, high]);
      return text(spot[0], spot[1] + 4, far.toFixed(2).replace(/^0/, ""), "middle", far === left[0][1] ? ' font-weight="bold"' : "");
    }).join("");
  };
  const picture = (points, chosen, left, selected) => {
    const [x, y] = middle(points).map((value) => (side * value).toFixed(1)), is_left = (i) => left.some(([free]) => free === i);
    return `<path class="axis" d="M0 ${y}h${side}M${x} 0v${side}"/>` + circle(of(points, chosen), "line new", 14)
      + (is_left(selected) ? circle(of(points, [...chosen, selected]), "line new dash", 14) : "")
      + points.map((spot, i) => circle(spot, is_left(i) ? "shade on edge" : "old edge", radius) + (i === selected ? circle(spot, "line", radius + 4) : "")).join("")
      + chosen.map((i, place) => text(side * points[i][0], side * points[i][1] + 4, place + 1, "middle", ' class="on"')).join("")
      + labels(points, left) + points.map((spot, i) => circle(spot, "handle", 13, ` data-handle="${i}"`)).join("");
  };

  const draw = ({ budget, points: as_text, draw, selected }) => {
    const points = read(as_text), n = points.length, m = Math.min(budget, n), chosen = chosen_of(points, m, draw);
    const left = points.map((_, i) => [i, apart(points, [...chosen, i])]).filter(([i]) => !chosen.includes(i)).sort((a, b) => a[1] - b[1]);
    const random = mean(draws.map((_, i) => apart(points, chosen_of(points, m, i + 1)))), mine = left.find(([i]) => i === selected);
    const says = `${m} of ${n}, ${draw ? `random choice ${draw}` : "herding"}: the exemplars' mean is ${apart(points, chosen).toFixed(3)} `
      + `from the mean of all. Random choices, on average: ${random.toFixed(3)}`
      + (draw ? `; herding: ${apart(points, chosen_of(points, m, 0)).toFixed(3)}` : "") + (mine ? `. Were the selected point next: ${mine[1].toFixed(3)}` : "");
    const rows = [...chosen.map((i, place) => [i, `exemplar ${place + 1}`]), ...left.map(([i, far]) => [i, `${far.toFixed(3)} apart, were it next`])];
    const listed = rows.map(([i, words]) => `(${points[i].map((value) => value.toFixed(2)).join(", ")}): ${words}`).join("\n");
    return { marks: [picture(points, chosen, left, selected)], says, texts: { rows: listed }, most: { budget: n } };
  };

  const inside = (value) => Math.min(0.97, Math.max(0.03, value));
  const put = (points, i, spot) => ({ points: written(points.map((point, j) => i === j ? spot.map(inside) : point)), selected: i });
  const press = (_, at, state) => {
    const away = read(state.points).map((point) => gap(point, at.map((value) => value / side))), nearest = away.indexOf(Math.min(...away));
    return { handle: nearest, selected: nearest };
  };
  const move = (i, at, state) => put(read(state.points), i, at.map((value) => value / side));
  const roomiest = (points) => { // of a grid, the place that is farthest from every point
    const grid = Array.from({ length: 400 }, (_, k) => [0.05 + 0.9 * (k % 20) / 19, 0.05 + 0.9 * Math.floor(k / 20) / 19]);
    const room = grid.map((spot) => Math.min(...points.map((point) => gap(point, spot))));
    return grid[room.indexOf(Math.max(...room))];
  };
  const act = (name, { budget, points: as_text, draw, selected }) => {
    const points = read(as_text), gone = selected < 0 ? points.length - 1 : selected;
    if (name === "herding") return { draw: 0 };
    if (name === "random") return { draw: draw % draws.length + 1 };
    if (name === "add") return points.length < most ? { points: written([...points, roomiest(points)]), selected: points.length } : {};
    return points.length > 2 ? { points: written(points.filter((_, i) => i !== gone)), selected: -1, budget: Math.min(budget, points.length - 1) } : {};
  };
  const keys = (key, state) => {
    const points = read(state.points), n = points.length, i = Math.max(0, state.selected);
    const [turn, step] = [{ PageDown: 1, PageUp: n - 1 }[key], { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, -0.02], ArrowDown: [0, 0.02] }[key]];
    if (turn) return { selected: state.selected < 0 ? 0 : (i + turn) % n };
    if (step) return put(points, i, points[i].map((value, axis) => value + step[axis]));
    return key === "Delete" ? act("remove", state) : null;
  };
  return { draw, move, press, act, keys };
});
