// Chapter 3: what it costs to choose m of n images. See nearest.py.
cilkitAlive("cost", () => {
  const { text, plot } = cilkitSvg, panel = plot({ x: [0, 100], y: [0, 40], width: 340, height: 260 });
  const distances = (n, m) => (2 * n - m + 1) * m / 2;
  const power_of_sets = (n, m) => {
    let sum = 0;
    for (let i = 1; i <= m; i++) sum += Math.log10((n - m + i) / i);
    return sum;
  };
  const draw = ({ n, m: wanted }) => {
    const m = Math.min(wanted, n), several = Array.from({ length: Math.min(n, 100) }, (_, i) => i + 1);
    const marks = [["old", (k) => Math.log10(distances(n, k))], ["", (k) => power_of_sets(n, k)]].map(([name, power]) =>
      panel.line(several, several.map(power), name) + panel.dots([m], [power(m)], name, 6));
    const power = power_of_sets(n, m), many = power < 9 ? Math.round(10 ** power) : `10 to the power ${power.toFixed(1)}`;
    return {
      marks: [marks.join("") + text(200, 140, "above: all sets", "middle") + text(200, 156, "below: herding", "middle")],
      says: `${m} of ${n}: herding ${distances(n, m)} distances, all sets ${many}`, most: { m: Math.min(n, 100) },
    };
  };
  return { draw };
});
