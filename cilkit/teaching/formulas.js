// The formulas that the laboratory and the figures of the chapters share, under the package's names
// (cilkit/functional.py, metrics.py, data/scenario.py). Numbers of images and classes lie row by row.
const CilkitFormulas = () => {
  "use strict";
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  const softmax = (logits, at, n_classes, temperature, out) => {
    let most = -Infinity, sum = 0;
    for (let c = 0; c < n_classes; c++) most = Math.max(most, logits[at + c]);
    for (let c = 0; c < n_classes; c++) sum += out[c] = Math.exp((logits[at + c] - most) / temperature);
    for (let c = 0; c < n_classes; c++) out[c] /= sum;
    return out;
  };

  // The gradient of distillation by the student's logits, (q - p) / (T n): by those of the old classes, which come
  // first in the student's rows of n_seen; the teacher has no others.
  const kd_gradient = (student, teacher, n, n_old, n_seen, temperature, out, work = { p: [], q: [] }) => {
    for (let i = 0; i < n; i++) {
      const q = softmax(student, i * n_seen, n_old, temperature, work.q);
      const p = softmax(teacher, i * n_old, n_old, temperature, work.p);
      for (let c = 0; c < n_old; c++) out[i * n_old + c] = (q[c] - p[c]) / (temperature * n);
    }
    return out;
  };

  // Choose m of n rows of so many numbers, one by one, so that their mean stays closest to the mean of all: indices,
  // best first. With the mean as origin, |total + f| / k is smallest where |f|²/2 + f · total is.
  const herd = (features, n, size, m) => {
    const rows = Float64Array.from(features), cost = new Float64Array(n), chosen = [];
    for (let j = 0; j < size; j++) {
      let mean = 0;
      for (let i = 0; i < n; i++) mean += rows[i * size + j] / n;
      for (let i = 0; i < n; i++) rows[i * size + j] -= mean;
    }
    const dot = (a, b) => { let s = 0; for (let j = 0; j < size; j++) s += rows[a * size + j] * rows[b * size + j]; return s; };
    for (let i = 0; i < n; i++) cost[i] = dot(i, i) / 2;
    while (chosen.length < Math.min(m, n)) {
      let best = -1;
      for (let i = 0; i < n; i++) if (cost[i] < Infinity && (best < 0 || cost[i] < cost[best])) best = i;
      chosen.push(best);
      for (let i = 0; i < n; i++) cost[i] += dot(i, best);
      cost[best] = Infinity;
    }
    return chosen;
  };

  // Count how many test images of each class (row) were taken for each class (column).
  const confusion_matrix = (logits, labels, n_classes) => {
    const counts = Array.from({ length: n_classes }, () => new Array(n_classes).fill(0));
    labels.forEach((label, i) => {
      let best = 0;
      for (let c = 1; c < n_classes; c++) if (logits[i * n_classes + c] > logits[i * n_classes + best]) best = c;
      counts[label][best] += 1;
    });
    return counts;
  };

  const class_accuracies = (confusion) => confusion.map((row, c) => 100 * row[c] / row.reduce((a, b) => a + b, 0));

  // ---- An order of classes, as numpy's old generator draws it from a seed: MT19937, which is the
  // field's habit.

  const mt19937 = (seed) => {
    const key = new Uint32Array(624);
    for (let i = 0, s = seed >>> 0; i < 624; i++) {
      key[i] = s;
      s = (Math.imul(1812433253, s ^ (s >>> 30)) + i + 1) >>> 0;
    }
    let place = 624;
    const refill = () => {
      for (let i = 0; i < 624; i++) {
        const y = (key[i] & 0x80000000) | (key[(i + 1) % 624] & 0x7fffffff);
        key[i] = key[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      place = 0;
    };
    return () => {
      if (place === 624) refill();
      let y = key[place++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    };
  };

  const class_order = (seed, n_classes) => {
    const next = mt19937(seed), order = Array.from({ length: n_classes }, (_, i) => i);
    for (let i = n_classes - 1; i > 0; i--) {
      let mask = 1, j;
      while (mask < i) mask = 2 * mask + 1;
      do j = next() & mask; while (j > i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  };

  // How many classes each stage brings, or why it cannot be so.
  const class_increments = (base, increment, n_classes, name) => {
    const rest = n_classes - base, stages = Math.floor(rest / increment), left_over = rest % increment;
    if (rest < 0 || (rest > 0 && !stages)) return {
      wrong: `base ${base} and increment ${increment} do not fit the ${n_classes} classes of ${name}: `
        + "there must be enough for the first stage, and for one more of whole size",
    };
    return { sizes: [...(base ? [base] : []), ...new Array(stages).fill(increment), ...(left_over ? [left_over] : [])] };
  };

  return { mean, softmax, kd_gradient, herd, confusion_matrix, class_accuracies, class_order, class_increments };
};
