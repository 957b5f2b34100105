// Chapter 7: how sure a network is against how often it is right, its logits divided by T. See measures.py.
cilkitAlive("reliability", ({ logits, labels, n_old }, { softmax }) => {
  const { text, plot, short } = cilkitSvg, N = labels.length, n = logits.length / N;
  const diagram = plot({ x: [0, 100], y: [0, 100], width: 340, height: 320, right: 24 });

  // Of each bin: images, the sum of their confidence, how many are right. A bin holds its upper edge.
  const binned = (rows, T, bins) => {
    const found = Array.from({ length: bins }, () => [0, 0, 0]);
    for (const i of rows) {
      const p = softmax(logits, i * n, n, T, []), sure = Math.max(...p);
      let bin = 0;
      while (bin < bins - 1 && sure > (bin + 1) / bins) bin++;
      found[bin][0] += 1;
      found[bin][1] += sure;
      found[bin][2] += p.indexOf(sure) === labels[i];
    }
    return found;
  };
  const error_of = (found, images) => 100 * found.reduce((sum, [, sure, right]) => sum + Math.abs(right - sure), 0) / images;
  const rings = (found, images, name) => found.filter(([count]) => count).map(([count, sure, right]) =>
    diagram.dots([100 * sure / count], [100 * right / count], `line ${name}`, Math.round(10 * (3 + 17 * Math.sqrt(count / images))) / 10)).join("");
  const stacked = (counts, below, found, name) => {
    const wide = 100 / found.length, path = found.map(([count], i) => {
      if (!count) return "";
      const [x, foot] = counts.at(wide * (i + 0.05), below[i]), [end, head] = counts.at(wide * (i + 0.95), below[i] + count);
      return `M${short(x)} ${short(foot)}V${short(head)}H${short(end)}V${short(foot)}z`;
    });
    return `<path class="${name} bar" d="${path.join("")}"/>`;
  };
  const histogram = (groups) => {
    const below = groups[0].found.map(() => 0);
    const highest = Math.max(...below.map((_, i) => groups.reduce((sum, { found }) => sum + found[i][0], 0)));
    const counts = plot({ x: [0, 100], y: [0, highest], width: 340, height: 320 });
    return text(46, 32, highest, "end") + groups.map(({ found, name }) => {
      const bars = stacked(counts, below, found, name);
      found.forEach(([count], i) => { below[i] += count; });
      return bars;
    }).join("");
  };
  const everyone = labels.map((_, i) => i);
  const parts = { old: everyone.filter((i) => labels[i] < n_old), new: everyone.filter((i) => labels[i] >= n_old), all: everyone };

  const draw = ({ T, bins, groups }) => {
    const says = [`T = ${T.toFixed(2)}, ${bins} bins`];
    const all = (groups === "two" ? ["old", "new"] : ["all"]).map((group) => {
      const rows = parts[group], found = binned(rows, T, bins);
      const [sure, right] = [1, 2].map((k) => 100 * found.reduce((sum, bin) => sum + bin[k], 0) / rows.length);
      says.push(`${group}: ${sure.toFixed(0)} % sure, ${right.toFixed(0)} % right, error ${error_of(found, rows.length).toFixed(1)}`);
      return { found, images: rows.length, name: group === "all" ? "" : group };
    });
    if (groups === "two") says.push(`all: error ${error_of(binned(everyone, T, bins), N).toFixed(1)}`);
    return { marks: [all.map(({ found, images, name }) => rings(found, images, name)).join(""), histogram(all)], says: says.join("; ") };
  };
  return { draw };
});
