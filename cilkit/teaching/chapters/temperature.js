// Chapter 4: what teacher and student say of an image, at temperature T. See temperature.py.
cilkitAlive("temperature", ({ taught, mine, captions, names }, { softmax, kd_gradient }) => {
  const { text, plot } = cilkitSvg, n = names.length, most = Math.log(n);
  const panel = (more) => plot({ x: [-2, 4], width: 340, height: 320, ...more });
  const bars = plot({ x: [-0.6, n - 0.4], y: [0, 100], width: 340, height: 320 });
  const entropies = panel({ y: [0, 1.05 * most], bottom: 190 }), lengths = panel({ y: [-4, 1], top: 176 });
  const powers = Array.from({ length: 49 }, (_, i) => (i - 16) / 8);

  const percent = (logits, image, T) => softmax(logits, image * n, n, T, []).map((p) => 100 * p);
  const entropy = (image, T) => softmax(taught, image * n, n, T, []).reduce((sum, p) => sum - (p > 0 ? p * Math.log(p) : 0), 0);
  const row = (logits, image) => logits.slice(image * n, image * n + n);
  const pull = (image, T) => Math.hypot(...kd_gradient(row(mine, image), row(taught, image), 1, n, n, T, []));
  const tens = (length) => Math.max(Math.log10(Math.max(length, 1e-300)), -4);
  const listed = (shares) => {
    const order = shares.map((_, c) => c).sort((a, b) => shares[b] - shares[a]);
    return order.slice(0, 2).map((c) => `${names[c]} ${shares[c].toFixed(1)} %`).join(", ");
  };

  const draw = ({ image, T }) => {
    const p = percent(taught, image, T), q = percent(mine, image, T), power = Math.log2(T), now = entropy(image, T), length = pull(image, T);
    const left = bars.bars(p, names.map(() => "old")) + bars.bars(q, names.map(() => "line thin"), 0.5)
      + text(334, 24, "filled: teacher, outlined: student", "end");
    let right = entropies.line(powers, powers.map((x) => entropy(image, 2 ** x))) + entropies.dots([power], [now], "", 6);
    for (const [name, square] of [["", 0], ["old", 1]]) {
      right += lengths.line(powers, powers.map((x) => tens(pull(image, 2 ** x) * 4 ** (x * square))), name);
      right += lengths.dots([power], [tens(length * T ** (2 * square))], name, 6);
    }
    right += text(334, 186, "blue: times T²", "end");
    const says = `T = ${T.toFixed(2)}, ${captions[image]}. Teacher: ${listed(p)}; student: ${listed(q)}. `
      + `Entropy ${now.toFixed(2)} of ${most.toFixed(2)}. Length of the gradient ${length.toFixed(4)}, times T² ${(T * T * length).toFixed(4)}`;
    return { marks: [left, right], says };
  };
  return { draw };
});
