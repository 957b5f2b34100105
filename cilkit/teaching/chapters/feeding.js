// Chapter 8: the cores that it takes to feed a GPU. See feeding.py.
cilkitAlive("feeding", ({ ways }) => {
  const { text, rect, short } = cilkitSvg, left = 100, wide = 200, all = 16, names = Object.keys(ways);
  const draw = ({ thousands, cores }) => {
    const x = left + wide * cores / all, says = [];
    let marks = `<path class="axis" stroke-dasharray="5 4" d="M${short(x)} 20V${30 + 40 * names.length}"/>` + text(x, 14, `${cores} cores`, "middle");
    names.forEach((name, i) => {
      const needed = thousands * ways[name] / 1000, y = 30 + 40 * i, end = Math.min(wide + 20, wide * needed / all), enough = needed <= cores;
      const more = ` fill="currentColor" fill-opacity="${enough ? 0.5 : 0.15}"${enough ? "" : ' stroke-dasharray="5 3"'}`;
      marks += text(left - 8, y + 16, name, "end") + rect(left, y, end, 24, "edge", more) + text(left + end + 4, y + 16, needed.toFixed(1));
      says.push(`${name} ${needed.toFixed(1)} cores, ${enough ? "enough" : "too slow"}`);
    });
    return { marks: [marks], says: `${thousands},000 images a second, ${cores} cores: ${says.join("; ")}` };
  };
  return { draw };
});
