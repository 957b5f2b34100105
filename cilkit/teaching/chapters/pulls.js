// Chapter 4: how long the gradient of a batch is, at temperature T. See temperature.py.
cilkitAlive("pulls", ({ taught, mine, n_old }, { mean, kd_gradient }) => {
  const { text, plot } = cilkitSvg, n = mine.length / n_old;
  const lengths = plot({ x: [-2, 4], y: [-4, 1], width: 340, height: 260 });
  const powers = Array.from({ length: 49 }, (_, i) => (i - 16) / 8);
  const tens = (length) => Math.max(Math.log10(Math.max(length, 1e-300)), -4);
  const pull = (T) => {
    const gradient = kd_gradient(mine, taught, n, n_old, n_old, T, []);
    return mean(Array.from({ length: n }, (_, i) => n * Math.hypot(...gradient.slice(i * n_old, (i + 1) * n_old))));
  };
  const curve = powers.map((x) => pull(2 ** x));

  const draw = ({ T }) => {
    const now = pull(T), marks = [["", 0], ["old", 1]].map(([name, square]) =>
      lengths.line(powers, curve.map((length, i) => tens(length * 4 ** (powers[i] * square))), name)
      + lengths.dots([Math.log2(T)], [tens(now * T ** (2 * square))], name, 6));
    const says = `T = ${T.toFixed(2)}. Length of the gradient ${now.toFixed(4)}, times T² ${(T * T * now).toFixed(4)}`;
    return { marks: [marks.join("") + text(334, 38, "blue: times T²", "end")], says };
  };
  return { draw };
});
