(() => {
  const W = 640, H = 360;
  // Algorithm 4 of iCaRL, as cilkit.functional.herd does it: the same choice, cheaper to compute.
  const herd = (points, m) => {
    const n = points.length, mean = meanOf(points), total = [0, 0], chosen = [];
    for (let k = 1; k <= m; k++) {
      let best = -1, least = Infinity;
      for (let i = 0; i < n; i++) {
        if (chosen.includes(i)) continue;
        const p = points[i];
        const cost = (p[0] * p[0] + p[1] * p[1]) / 2 - p[0] * (k * mean[0] - total[0]) - p[1] * (k * mean[1] - total[1]);
        if (cost < least) { least = cost; best = i; }
      }
      chosen.push(best);
      total[0] += points[best][0];
      total[1] += points[best][1];
    }
    return chosen;
  };
  const meanOf = (points) => [0, 1].map((axis) => points.reduce((sum, p) => sum + p[axis], 0) / points.length);
  const far = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

  for (const figure of document.querySelectorAll("figure.cil-playground:not([data-awake])")) {
    figure.dataset.awake = "yes";
    const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const [svg, frame, slider, says, reset] = ["svg", ".cil-frame", "input", "output", ".cil-reset"].map((s) => figure.querySelector(s));
    let points = data.points.map((p) => [...p]), held = null, selected = -1;

    const show = () => {
      const m = +slider.value, chosen = herd(points, m), mean = meanOf(points);
      const kept = meanOf(chosen.map((i) => points[i]));
      const random = data.draws.map((draw) => far(meanOf(draw.slice(0, m).map((i) => points[i])), mean));
      const marks = points.map(([x, y], i) => {
        const at = `cx="${(x * W).toFixed(1)}" cy="${(y * H).toFixed(1)}"`;
        const halo = i === selected ? `<circle class="line" cx="${x * W}" cy="${y * H}" r="15"/>` : "";
        const place = chosen.indexOf(i);
        if (place < 0) return `${halo}<circle class="free" ${at} r="7"/>`;
        return `${halo}<circle class="chosen" ${at} r="11"/><text pointer-events="none" x="${x * W}" y="${y * H + 4}" text-anchor="middle" fill="#fff">${place + 1}</text>`;
      });
      const [x, y] = [mean[0] * W, mean[1] * H];
      marks.push(`<path pointer-events="none" class="axis" stroke-width="3" d="M${x - 8},${y}h16M${x},${y - 8}v16"/>`);
      marks.push(`<circle pointer-events="none" class="line new" cx="${kept[0] * W}" cy="${kept[1] * H}" r="10"/>`);
      // Wide enough for a finger; where they overlap, the nearest point is meant.
      for (const [i, [px, py]] of points.entries()) marks.push(`<circle class="grip" data-point="${i}" cx="${px * W}" cy="${py * H}" r="22"/>`);
      frame.innerHTML = marks.join("");
      const average = random.reduce((a, b) => a + b, 0) / random.length;
      says.textContent = `${m} of ${points.length}: the exemplars' mean is ${far(kept, mean).toFixed(3)} from the mean of all; random choices, on average, ${average.toFixed(3)}`;
      figure.dataset.chosen = chosen.join(" ");
    };
    const inside = (value) => Math.min(0.98, Math.max(0.02, value));
    const move = (i, x, y) => { points[i] = [inside(x), inside(y)]; show(); };

    const place_of = (event) => {
      const box = svg.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    svg.addEventListener("pointerdown", (event) => {
      if (event.target.dataset.point === undefined) return;
      const here = place_of(event), away = points.map(([x, y]) => Math.hypot((x - here[0]) * W, (y - here[1]) * H));
      held = selected = away.indexOf(Math.min(...away));
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
      show();
    });
    svg.addEventListener("pointermove", (event) => {
      if (held === null) return;
      move(held, ...place_of(event));
    });
    for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { held = null; });
    svg.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, -0.02], ArrowDown: [0, 0.02] };
      const turn = { PageDown: 1, PageUp: -1 }[event.key];
      if (turn) selected = (selected + turn + points.length) % points.length;
      else if (steps[event.key]) {
        selected = Math.max(selected, 0);
        return event.preventDefault(), move(selected, points[selected][0] + steps[event.key][0], points[selected][1] + steps[event.key][1]);
      } else return;
      event.preventDefault();
      show();
    });
    slider.addEventListener("input", show);
    reset.addEventListener("click", () => {
      points = data.points.map((p) => [...p]);
      [slider.value, selected] = [slider.defaultValue, -1];
      show();
    });
    show();
  }
})();
