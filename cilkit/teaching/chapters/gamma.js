// Chapter 5: the last stage's logits, those of the new classes times γ. See gamma.py.
cilkitAlive("gamma", ({ logits, labels, n_old, chosen, names, low }, { confusion_matrix, class_accuracies, mean }) => {
  const { text, rect, plot } = cilkitSvg, n = names.length, [left, top, cell] = [46, 24, 26];
  const plane = plot({ x: [0.2, 2], y: [low, 100], width: 340, height: 300, right: 36 });
  const gammas = Array.from({ length: 181 }, (_, i) => (20 + i) / 100);

  const confusion_at = (gamma) => confusion_matrix(logits.map((logit, i) => i % n < n_old ? logit : gamma * logit), labels, n);
  const accuracies = (gamma) => {
    const each = class_accuracies(confusion_at(gamma));
    return [mean(each.slice(0, n_old)), mean(each.slice(n_old)), mean(each)];
  };
  const curves = gammas.map(accuracies), all = curves.map((values) => values[2]), best = all.indexOf(Math.max(...all));
  const wa = accuracies(chosen)[2];

  const mark = (gamma, word, y) => {
    const [x, foot] = plane.at(gamma, low), [, head] = plane.at(gamma, 100);
    return `<line class="axis" x1="${x}" y1="${foot}" x2="${x}" y2="${head}"/>` + text(x + 3, foot - y, word);
  };
  const lines = ["old", "new", ""].map((name, column) => {
    const seen = gammas.map((_, i) => i).filter((i) => curves[i][column] >= low);
    return plane.line(seen.map((i) => gammas[i]), seen.map((i) => curves[i][column]), name);
  });

  const table = (confusion) => confusion.map((row, i) => row.map((count, j) => {
    const x = left + cell * j, y = top + cell * i, share = count / row.reduce((a, b) => a + b, 0);
    const box = rect(x, y, cell - 2, cell - 2, j < n_old ? "old" : "new", ` fill-opacity="${share.toFixed(2)}"`);
    return box + (count ? text(x + 12, y + 16, count, "middle", share > 0.5 ? ' class="on"' : "") : "");
  }).join("")).join("");

  const draw = ({ gamma }) => {
    const now = accuracies(gamma), [old, fresh, both] = now.map((value) => value.toFixed(1));
    const points = ["old", "new", ""].map((name, i) => lines[i] + (now[i] >= low ? plane.dots([gamma], [now[i]], name, 6) : ""));
    const says = `γ = ${gamma.toFixed(2)}: old ${old} %, new ${fresh} %, all ${both} %. `
      + `All at WA's ${chosen.toFixed(2)}: ${wa.toFixed(1)} %; at the best, ${gammas[best].toFixed(2)}: ${all[best].toFixed(1)} %`;
    return { marks: [mark(chosen, "WA", 26) + mark(gammas[best], "best", 12) + points.join(""), table(confusion_at(gamma))], says };
  };
  return { draw };
});
