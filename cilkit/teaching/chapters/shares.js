// Chapter 9: which process tests which image. See shares.py.
cilkitAlive("shares", ({ right }) => {
  const { text, rect } = cilkitSvg, size = 22, left = 70, top = 24, line = 12;
  // As many images for each process: the first ones come again.
  const padded = (count, processes) => Array.from({ length: processes }, (_, rank) => Array.from({ length: Math.ceil(count / processes) }, (_, i) => (rank + i * processes) % count));
  // Whole chunks of three, as many or one more for each process.
  const exact = (count, processes) => {
    const chunks = Array.from({ length: Math.ceil(count / 3) }, (_, i) => [3 * i, 3 * i + 1, 3 * i + 2].filter((image) => image < count));
    const few = Math.floor(chunks.length / processes), more = chunks.length % processes;
    return Array.from({ length: processes }, (_, rank) => {
      const from = rank * few + Math.min(rank, more);
      return chunks.slice(from, from + few + (rank < more)).flat();
    });
  };
  const accuracy = (shares) => {
    const counted = shares.flat();
    return 100 * counted.filter((image) => right[image]).length / counted.length;
  };
  const rows = (shares) => {
    const seen = new Set(), again = new Set(), longest = Math.max(...shares.map((share) => share.length));
    for (let place = 0; place < longest; place++) shares.forEach((share, rank) => {
      if (share[place] === undefined) return;
      if (seen.has(share[place])) again.add(`${rank} ${place}`);
      seen.add(share[place]);
    });
    let row = 0;
    return shares.map((share, rank) => {
      const marks = share.map((image, place) => {
        const x = left + size * (place % line), y = top + 30 * (row + Math.floor(place / line));
        const edge = again.has(`${rank} ${place}`) ? ' stroke-width="2" stroke-dasharray="4 3"' : ' stroke-width="1"';
        const look = ` fill="currentColor" fill-opacity="${right[image] ? 0 : 0.3}"${edge}`;
        return rect(x + 1, y + 1, size - 2, size - 1, "edge", look) + text(x + size / 2, y + 17, image, "middle");
      });
      const head = text(4, top + 30 * row + 17, `process ${rank}`);
      row += Math.max(1, Math.ceil(share.length / line));
      return head + marks.join("");
    }).join("");
  };
  const draw = ({ images, processes }) => {
    const ways = [padded(images, processes), exact(images, processes)], twice = ways[0].flat().length - images;
    const [one, other] = ways.map((shares) => accuracy(shares).toFixed(1));
    return { marks: ways.map(rows), says: `${images} images, ${processes} processes: padded, ${twice} counted twice, accuracy ${one} %; each once: ${other} %` };
  };
  return { draw };
});
