// Chapter 3: the nearest mean of exemplars, at every budget. See nearest.py.
cilkitAlive("nearest", ({ seen, asked, truth, sizes, names, low, orders }, { mean, herd }) => {
  const { plot } = cilkitSvg, n = sizes.length, M = truth.length, D = asked.length / M, most = 30;
  const plane = plot({ x: [1, most], y: [low, 100], width: 340, height: 300 });
  const panel = plot({ x: [-0.6, n - 0.4], y: [0, 100], width: 340, height: 300 });
  const groups = sizes.map((size, c) => {
    const from = sizes.slice(0, c).reduce((a, b) => a + b, 0);
    return seen.subarray(from * D, (from + size) * D);
  });
  const herded = groups.map((group, c) => herd(group, sizes[c], D, most)), everything = sizes.map((size) => Array.from({ length: size }, (_, i) => i));
  const counts = sizes.map((_, c) => truth.filter((label) => label === c).length);

  // The accuracy on each class when the mean direction of the first exemplars decides. A length of
  // the sum in place of the mean changes nothing: both are scaled to 1.
  const each = (chosen, budget) => {
    const means = groups.map((group, c) => {
      const sum = new Float64Array(D);
      for (const row of chosen[c].slice(0, budget)) for (let j = 0; j < D; j++) sum[j] += group[row * D + j];
      const length = Math.hypot(...sum);
      return sum.map((value) => value / length);
    });
    const right = sizes.map(() => 0);
    for (let i = 0; i < M; i++) {
      let best = -1, highest = -Infinity;
      for (let c = 0; c < n; c++) {
        let product = 0;
        for (let j = 0; j < D; j++) product += asked[i * D + j] * means[c][j];
        if (product > highest) [best, highest] = [c, product];
      }
      if (best === truth[i]) right[best] += 1;
    }
    return right.map((hits, c) => 100 * hits / counts[c]);
  };
  const accuracy = (chosen, budget) => each(chosen, budget).reduce((sum, value, c) => sum + value * counts[c], 0) / M;
  const budgets = Array.from({ length: most }, (_, i) => i + 1);
  const [herding, ...random] = [herded, ...orders].map((chosen) => budgets.map((budget) => accuracy(chosen, budget)));
  const limit = accuracy(everything, Infinity), of_all = each(everything, Infinity), at = (budget) => random.map((values) => values[budget - 1]);
  const still = random.map((values) => plane.line(budgets, values, "faint")).join("") + plane.line(budgets, budgets.map((budget) => mean(at(budget))), "dash")
    + plane.line(budgets, herding, "old") + plane.line([1, most], [limit, limit], "thin");

  const draw = ({ budget, way, draw: number }) => {
    const chosen = way === "herding" ? herded : orders[number - 1], now = accuracy(chosen, budget), name = way === "herding" ? "old" : "";
    const bars = panel.bars(each(chosen, budget), sizes.map(() => `${name} bar`)) + panel.bars(of_all, sizes.map(() => "line thin"), 0.5);
    const [middle, least, highest] = [mean(at(budget)), Math.min(...at(budget)), Math.max(...at(budget))].map((value) => value.toFixed(1));
    const says = `${budget} of each class, ${way === "herding" ? "by herding" : "at random"}: ${now.toFixed(1)} %. Herding ${herding[budget - 1].toFixed(1)} %; `
      + `ten random choices ${middle} %, from ${least} to ${highest} %; all images ${limit.toFixed(1)} %`;
    return { marks: [still + plane.dots([budget], [now], name, 6), bars], says };
  };
  return { draw };
});
