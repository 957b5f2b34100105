// Chapter 9: the accuracy where some images count twice. See shares.py.
cilkitAlive("padding", ({ right }) => {
  const { text, plot, short } = cilkitSvg, hits = Array.from(right, Number), processes = Array.from({ length: 16 }, (_, i) => i + 1);
  const accuracy = (images, size) => {
    const all = Math.ceil(images / size) * size;
    let right_ones = 0;
    for (let i = 0; i < all; i++) right_ones += hits[i % images];
    return 100 * right_ones / all;
  };
  const draw = ({ images }) => {
    const values = processes.map((size) => accuracy(images, size)), exactly = accuracy(images, 1);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const panel = plot({ x: [0.5, 16.5], y: [Math.max(0, Math.floor(low) - 1), Math.min(100, Math.ceil(high) + 1)], width: 340, height: 260 });
    const ends = [[216, Math.max(0, Math.floor(low) - 1)], [28, Math.min(100, Math.ceil(high) + 1)]];
    const marks = panel.line([0.5, 16.5], [exactly, exactly], "dash") + panel.line(processes, values) + panel.dots(processes, values, "new", 5)
      + ends.map(([y, edge]) => text(46, y + 4, short(edge), "end")).join("");
    return { marks: [marks], says: `The first ${images} images: each once ${exactly.toFixed(2)} %; padded, from ${low.toFixed(2)} to ${high.toFixed(2)} %` };
  };
  return { draw };
});
