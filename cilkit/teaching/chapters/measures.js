// Chapter 7: every metric of an accuracy matrix that the reader edits. See measures.py.
cilkitAlive("measures", ({ sizes }) => {
  const n = sizes.length, last = n - 1;
  const table = (cell) => Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => i < j ? 0 : cell(i, j)));
  const total = (i) => sizes.slice(0, i + 1).reduce((a, b) => a + b, 0);
  const rows = (first, count) => table((i, j) => i < first ? 0 : sizes[j] / total(i) / count);
  // The last row against one other cell of each earlier column, in the row that `row` says.
  const against = (row, sign = 1) => {
    const weights = table(() => 0);
    for (let j = 0; j < last; j++) {
      weights[row(j)][j] += sign / last;
      weights[last][j] -= sign / last;
    }
    return weights;
  };
  const best = (matrix, j, end) => {
    let row = j;
    for (let i = j; i < end; i++) if (matrix[i][j] > matrix[row][j]) row = i;
    return row;
  };
  const below = n * (n - 1) / 2;
  const MEASURES = [
    ["last accuracy", "the last row, by number of classes", () => table((i, j) => i < last ? 0 : sizes[j] / total(i))],
    ["last row, stages alike", "mean of R[T, j]", () => table((i) => i < last ? 0 : 1 / n)],
    ["average incremental accuracy", "the mean of all rows' accuracies", () => rows(0, n)],
    ["the same without the first stage", "rows 2 ... T", () => rows(1, n - 1)],
    ["accuracy on the newest classes", "mean of R[j, j]", () => table((i, j) => i === j ? 1 / n : 0)],
    ["forgetting (Chaudhry)", "mean of max R[l<T, j] − R[T, j]", (matrix) => against((j) => best(matrix, j, last))],
    ["forgetting (Avalanche)", "mean of R[j, j] − R[T, j]", () => against((j) => j)],
    ["forgetting (PyCIL)", "mean of max R[l≤T, j] − R[T, j]", (matrix) => against((j) => best(matrix, j, n))],
    ["backward transfer (GEM)", "mean of R[T, j] − R[j, j]", () => against((j) => j, -1)],
    ["backward transfer (all rows)", "mean of R[i, j] − R[j, j], i > j", () => table((i, j) => i > j ? 1 / below : -(last - j) / below)],
    ["forward transfer", "mean of R[j−1, j]: no such cells", () => null],
  ];

  const draw = (state) => {
    const matrix = table((i, j) => state[`r${i}_${j}`]), texts = {}, looks = {};
    const all = MEASURES.map(([name, , weigh]) => {
      const weights = weigh(matrix);
      const value = weights && weights.flatMap((row, i) => row.map((weight, j) => weight * matrix[i][j])).reduce((a, b) => a + b, 0);
      texts[name] = weights ? `${value.toFixed(1)} %` : "nothing to average";
      return weights ?? table(() => 0);
    });
    const [name, formula] = MEASURES[+state.metric];
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) {
      const weight = all[+state.metric][i][j];
      looks[`r${i}_${j}`] = weight > 1e-12 ? "plus" : weight < -1e-12 ? "minus" : "";
    }
    return { marks: [], says: `${name}, ${formula}: ${texts[name]}`, texts, looks };
  };
  return { draw };
});
