// A class-incremental learner in plain JavaScript: pixels -> 128 -> 64 features -> prototypes.
//
// It computes what the package does with backbone="mlp" and no augmentation, and calls things by the
// package's names (cilkit/functional.py, config.py, memory.py, loader.py), so that who has read one
// can read the other. Nothing here knows of pages: a worker gets this function as text, and that of
// the formulas (formulas.js), which other figures use, too.
const CilkitEngine = (formulas) => {
  "use strict";
  const { softmax, kd_gradient, herd, mean, confusion_matrix, class_accuracies } = formulas;
  const PIXELS = 64, HIDDEN = 128, FEATURES = 64, CLASSES = 10;
  // All weights lie in one array: a copy is one call, and so is a step. The prototypes come last,
  // where they can grow; a row is a class.
  const W1 = 0, B1 = W1 + HIDDEN * PIXELS, W2 = B1 + HIDDEN, B2 = W2 + FEATURES * HIDDEN;
  const HEAD = B2 + FEATURES, SIZE = HEAD + CLASSES * FEATURES;
  const MOMENTUM = 0.9;

  const DEFAULTS = {
    exemplars: true, teacher: true, align: true, joint: false, // WA
    budget: 50, budget_per: "total", selection: "herding",
    kd_weight: 0.5, kd_mix: "additive", temperature: 2, kd_t_squared: true,
    gamma: "wa", clip_weights: false,
    weight_decay: 1e-2, lr: 0.1, epochs: 20, batch_size: 32,
    increment: 2, class_order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], seed: 0,
  };

  // ---- Chance: the same numbers from the same words, in every browser.

  // Mulberry32 (Tommy Ettinger), started from words that are mixed as MurmurHash3 does at its end.
  const generator = (...words) => {
    const mix = (h) => {
      h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
      h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
      return h ^ (h >>> 16);
    };
    let state = words.reduce((h, word) => mix(h + word + 0x9e3779b9), words.length);
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  };

  const permutation = (n, random) => {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  };

  // ---- The digits: three pixels of 17 levels in two letters; training images come first.

  const unpack = (text, digits, n_train, Real = Float32Array) => {
    const levels = new Uint8Array(digits.length * PIXELS);
    for (let i = 0; i < levels.length / 3; i++) {
      const code = 71 * (text.charCodeAt(2 * i) - 48) + text.charCodeAt(2 * i + 1) - 48;
      levels.set([code % 17, Math.floor(code / 17) % 17, Math.floor(code / 289)], 3 * i);
    }
    const labels = Uint8Array.from(digits, Number);
    const shades = shades_of(levels, n_train * PIXELS);
    return { levels, labels, n_train, shades, images: Real.from(levels, (level) => shades[level]) };
  };

  // What the network sees of each level. As the package does: bytes first, then the mean and the
  // deviation of the training images.
  const shades_of = (levels, n) => {
    const values = Float64Array.from({ length: 17 }, (_, level) => Math.round(level * 255 / 16) / 255);
    let sum = 0, squares = 0;
    for (let i = 0; i < n; i++) sum += values[levels[i]];
    for (let i = 0; i < n; i++) squares += (values[levels[i]] - sum / n) ** 2;
    return values.map((value) => (value - sum / n) / Math.sqrt(squares / n));
  };

  // ---- The network.

  const network_of = (weights, n_classes) => ({
    weights, n_classes,
    w1: weights.subarray(W1, B1), b1: weights.subarray(B1, W2),
    w2: weights.subarray(W2, B2), b2: weights.subarray(B2, HEAD),
    head: weights.subarray(HEAD, SIZE),
  });

  // Each layer starts uniform in ±1/√inputs, as torch's do.
  const new_network = (Real, random) => {
    const network = network_of(new Real(SIZE), 0);
    const fill = (part, inputs) => { for (let i = 0; i < part.length; i++) part[i] = (2 * random() - 1) / Math.sqrt(inputs); };
    for (const name of ["w1", "b1"]) fill(network[name], PIXELS);
    for (const name of ["w2", "b2"]) fill(network[name], HIDDEN);
    return network;
  };

  const grow_to = (network, n_classes, random) => {
    for (let i = network.n_classes * FEATURES; i < n_classes * FEATURES; i++) network.head[i] = (2 * random() - 1) / Math.sqrt(FEATURES);
    network.n_classes = n_classes;
  };

  const copy_of = (network) => network_of(network.weights.slice(), network.n_classes);

  // Room for what a step needs, made once: no memory is asked for while the network trains.
  const workspace = (Real, n) => ({
    images: new Real(n * PIXELS), labels: new Int32Array(n), taught: new Real(n * CLASSES),
    hidden: new Real(n * HIDDEN), features: new Real(n * FEATURES), logits: new Real(n * CLASSES),
    d_hidden: new Real(n * HIDDEN), d_features: new Real(n * FEATURES), d_logits: new Real(n * CLASSES),
    kd: new Real(n * CLASSES), gradient: new Real(SIZE), velocity: new Real(SIZE),
    p: new Float64Array(CLASSES), q: new Float64Array(CLASSES),
  });

  // out = x · weightᵀ + bias, for four images at a time: four sums can grow at once, and each weight
  // is read once for all. Where fewer are left, the last image is computed again.
  const dense = (weight, bias, inputs, outputs, x, n, out, rectified) => {
    for (let i = 0; i < n; i += 4) {
      const a = i, b = Math.min(i + 1, n - 1), c = Math.min(i + 2, n - 1), d = Math.min(i + 3, n - 1);
      const xa = a * inputs, xb = b * inputs, xc = c * inputs, xd = d * inputs;
      for (let o = 0; o < outputs; o++) {
        let sa = bias ? bias[o] : 0, sb = sa, sc = sa, sd = sa;
        for (let j = 0, k = o * inputs; j < inputs; j++, k++) {
          const w = weight[k];
          sa += w * x[xa + j]; sb += w * x[xb + j]; sc += w * x[xc + j]; sd += w * x[xd + j];
        }
        out[a * outputs + o] = rectified && sa < 0 ? 0 : sa;
        out[b * outputs + o] = rectified && sb < 0 ? 0 : sb;
        out[c * outputs + o] = rectified && sc < 0 ? 0 : sc;
        out[d * outputs + o] = rectified && sd < 0 ? 0 : sd;
      }
    }
  };

  // gradient += dᵀ · x: of a layer's weights. Four images at a time, as above.
  const weight_gradient = (d, x, n, outputs, inputs, gradient, at) => {
    for (let i = 0; i < n; i += 4) {
      const b = Math.min(i + 1, n - 1), c = Math.min(i + 2, n - 1), e = Math.min(i + 3, n - 1);
      const xa = i * inputs, xb = b * inputs, xc = c * inputs, xe = e * inputs;
      for (let o = 0; o < outputs; o++) {
        const da = d[i * outputs + o], db = b > i ? d[b * outputs + o] : 0;
        const dc = c > b ? d[c * outputs + o] : 0, de = e > c ? d[e * outputs + o] : 0;
        if (da === 0 && db === 0 && dc === 0 && de === 0) continue; // units that ReLU had silenced
        for (let j = 0, k = at + o * inputs; j < inputs; j++, k++) {
          gradient[k] += da * x[xa + j] + db * x[xb + j] + dc * x[xc + j] + de * x[xe + j];
        }
      }
    }
  };

  const bias_gradient = (d, n, outputs, gradient, at) => {
    for (let i = 0; i < n; i++) for (let o = 0; o < outputs; o++) gradient[at + o] += d[i * outputs + o];
  };

  // out = d · weight, where the unit below was not silenced by its ReLU.
  const input_gradient = (d, weight, n, outputs, inputs, below, out) => {
    for (let i = 0; i < n; i++) {
      const row = i * inputs;
      out.fill(0, row, row + inputs);
      for (let o = 0; o < outputs; o++) {
        const slope = d[i * outputs + o];
        if (slope === 0) continue;
        for (let j = 0, k = o * inputs; j < inputs; j++, k++) out[row + j] += slope * weight[k];
      }
      for (let j = row; j < row + inputs; j++) if (below[j] === 0) out[j] = 0;
    }
  };

  const forward = (network, images, n, work) => {
    dense(network.w1, network.b1, PIXELS, HIDDEN, images, n, work.hidden, true);
    dense(network.w2, network.b2, HIDDEN, FEATURES, work.hidden, n, work.features, true);
    dense(network.head, null, FEATURES, network.n_classes, work.features, n, work.logits, false);
  };

  // ---- The gradients of the losses: chapter 4.

  // The gradient of the cross-entropy among the classes from `first` on; the others get none.
  const ce_gradient = (logits, labels, n, first, n_seen, out, work) => {
    for (let i = 0; i < n; i++) {
      const at = i * n_seen, p = softmax(logits, at + first, n_seen - first, 1, work.p);
      for (let c = 0; c < n_seen; c++) out[at + c] = c < first ? 0 : (p[c - first] - (c === labels[i])) / n;
    }
    return out;
  };

  // What a stage minimises, as the methods do: LwF, which has no images of the old classes, lets only
  // the new ones compete for a label.
  const rules_of = (settings, n_old, n_seen) => {
    const taught = n_old > 0 && settings.teacher && !settings.joint;
    const weight = settings.kd_weight === "dynamic" ? n_old / n_seen : settings.kd_weight;
    const scale = settings.kd_t_squared ? settings.temperature ** 2 : 1;
    return {
      n_old, taught, temperature: settings.temperature,
      first: taught && !settings.exemplars ? n_old : 0,
      kd: weight * scale, ce: taught && settings.kd_mix === "convex" ? 1 - weight : 1,
      weight_decay: settings.weight_decay, clip: settings.clip_weights,
    };
  };

  const loss_gradient = (work, n, n_seen, rules) => {
    const d = ce_gradient(work.logits, work.labels, n, rules.first, n_seen, work.d_logits, work);
    if (!rules.taught) return;
    kd_gradient(work.logits, work.taught, n, rules.n_old, n_seen, rules.temperature, work.kd, work);
    for (let i = 0; i < n; i++) for (let c = 0; c < n_seen; c++) {
      const kd = c < rules.n_old ? work.kd[i * rules.n_old + c] : 0;
      d[i * n_seen + c] = rules.ce * d[i * n_seen + c] + rules.kd * kd;
    }
  };

  // ---- One step of gradient descent, on the n images that lie in `work`.

  const step = (network, work, n, rules, lr) => {
    const { gradient, velocity } = work, { weights, n_classes } = network;
    forward(network, work.images, n, work);
    loss_gradient(work, n, n_classes, rules);
    gradient.fill(0);
    weight_gradient(work.d_logits, work.features, n, n_classes, FEATURES, gradient, HEAD);
    input_gradient(work.d_logits, network.head, n, n_classes, FEATURES, work.features, work.d_features);
    weight_gradient(work.d_features, work.hidden, n, FEATURES, HIDDEN, gradient, W2);
    bias_gradient(work.d_features, n, FEATURES, gradient, B2);
    input_gradient(work.d_features, network.w2, n, FEATURES, HIDDEN, work.hidden, work.d_hidden);
    weight_gradient(work.d_hidden, work.images, n, HIDDEN, PIXELS, gradient, W1);
    bias_gradient(work.d_hidden, n, HIDDEN, gradient, B1);
    // Torch's order: the decay joins the gradient, biases included, and both the momentum.
    for (let i = 0, end = HEAD + n_classes * FEATURES; i < end; i++) {
      velocity[i] = MOMENTUM * velocity[i] + gradient[i] + rules.weight_decay * weights[i];
      weights[i] -= lr * velocity[i];
      if (rules.clip && i >= HEAD && weights[i] < 0) weights[i] = 0;
    }
  };

  const learning_rate = (lr, epoch, epochs) => lr * (1 + Math.cos(Math.PI * epoch / epochs)) / 2;

  // ---- Exemplars: chapter 3.

  const normalised = (features, n, size) => {
    for (let i = 0; i < n; i++) {
      let length = 0;
      for (let j = 0; j < size; j++) length += features[i * size + j] ** 2;
      length = Math.max(Math.sqrt(length), 1e-12); // torch's: a row of zeros stays one
      for (let j = 0; j < size; j++) features[i * size + j] /= length;
    }
    return features;
  };

  const share_of = (settings, n_seen) => settings.budget_per === "class" ? settings.budget : Math.floor(settings.budget / n_seen);

  // The memory after a stage, rows of the data by class: fewer of the old classes, some of the new.
  const remember = (memory, network, data, new_rows, settings, n_seen) => {
    const share = share_of(settings, n_seen), kept = memory.map((rows) => rows.slice(0, share));
    for (const rows of new_rows) {
      const features = normalised(features_of(network, data, rows), rows.length, FEATURES);
      const chosen = settings.selection === "herding"
        ? herd(features, rows.length, FEATURES, share)
        : Array.from(permutation(rows.length, generator(settings.seed, 3, kept.length))).slice(0, share);
      kept.push(chosen.map((i) => rows[i]));
    }
    return kept;
  };

  // ---- Alignment: chapter 5.

  const lengths = (prototypes, n_classes) => Array.from({ length: n_classes }, (_, c) => {
    let sum = 0;
    for (let j = c * FEATURES; j < (c + 1) * FEATURES; j++) sum += prototypes[j] ** 2;
    return Math.sqrt(sum);
  });

  // gamma: how many times longer the old prototypes are than the new ones, on average.
  const alignment = (norms, n_old) => mean(norms.slice(0, n_old)) / mean(norms.slice(n_old));

  const align = (network, n_old, gamma) => {
    if (!(gamma > 0 && gamma < Infinity)) throw new Error(`γ is ${gamma}: prototypes of length 0 or infinity cannot be aligned`);
    for (let i = n_old * FEATURES; i < network.n_classes * FEATURES; i++) network.head[i] *= gamma;
  };

  // ---- What the network knows: chapter 7.

  const CHUNK = 32;

  const features_of = (network, data, rows) => {
    const Real = data.images.constructor, work = data.work ??= workspace(Real, CHUNK);
    const features = new Real(rows.length * FEATURES);
    for (let i = 0; i < rows.length; i += CHUNK) {
      const n = Math.min(CHUNK, rows.length - i);
      for (let k = 0; k < n; k++) take_image(data, rows[i + k], work, k);
      forward(network, work.images, n, work);
      features.set(work.features.subarray(0, n * FEATURES), i * FEATURES);
    }
    return features;
  };

  const logits_of = (network, features, n) => {
    const logits = new features.constructor(n * network.n_classes);
    dense(network.head, null, FEATURES, network.n_classes, features, n, logits, false);
    return logits;
  };

  const take_image = (data, row, work, i) => work.images.set(data.images.subarray(row * PIXELS, (row + 1) * PIXELS), i * PIXELS);

  const evaluate = (network, data, arrival) => {
    const rows = rows_of(data, arrival.slice(0, network.n_classes), "test");
    const logits = logits_of(network, features_of(network, data, rows), rows.length);
    const confusion = confusion_matrix(logits, rows.map((row) => arrival.indexOf(data.labels[row])), network.n_classes);
    return { confusion, accuracy: mean(class_accuracies(confusion)) };
  };

  const rows_of = (data, digits, part) => {
    const [from, to] = part === "train" ? [0, data.n_train] : [data.n_train, data.labels.length], rows = [];
    for (let row = from; row < to; row++) if (digits.includes(data.labels[row])) rows.push(row);
    return rows;
  };

  // ---- The loop: chapter 6.

  // Teach a network the stages that `settings` describe, and tell what happens as it happens. It
  // stands still between two events. `given` holds weights and an order of the images made elsewhere.
  function* learn(data, settings = {}, given = {}) {
    settings = { ...DEFAULTS, ...settings };
    settings.exemplars &&= settings.budget > 0; // a budget of none is what LwF has
    const { seed, increment, class_order: arrival } = settings, Real = data.images.constructor;
    const network = new_network(Real, generator(seed, 0)), work = workspace(Real, settings.batch_size);
    if (given.weights) network.weights.set(given.weights);
    let memory = [], teacher = null, so_far = [];
    for (let n_old = 0, stage = 0; n_old < CLASSES; n_old += increment, stage++) {
      const n_seen = n_old + increment, own = rows_of(data, arrival.slice(n_old, n_seen), "train");
      grow_to(network, n_seen, generator(seed, 1, stage));
      if (given.heads) network.head.set(given.heads[stage], n_old * FEATURES);
      so_far = so_far.concat(own);
      const rows = settings.joint ? so_far : own.concat(memory.flat());
      const now = { stage, n_old, n_seen, network, memory };
      yield { kind: "start", ...now };
      for (const event of train(network, teacher, work, data, rows, settings, now, given)) yield event;
      const before = evaluate(network, data, arrival);
      const gamma = n_old ? alignment(lengths(network.head, n_seen), n_old) : null;
      const used = settings.gamma === "wa" ? gamma : settings.gamma, aligned = n_old > 0 && settings.align && !settings.joint;
      yield { kind: "trained", ...now, gamma, used, aligned, ...before };
      if (aligned) align(network, n_old, used);
      if (settings.teacher && !settings.joint) teacher = copy_of(network);
      if (settings.exemplars && !settings.joint) memory = remember(memory, network, data, arrival.slice(n_old, n_seen).map((digit) => own.filter((row) => data.labels[row] === digit)), settings, n_seen);
      const after = aligned ? evaluate(network, data, arrival) : before;
      yield { kind: "stage", ...now, memory, gamma: aligned ? used : null, before: before.accuracy, ...after, norms: lengths(network.head, n_seen) };
    }
  }

  // One stage: every epoch deals all images once, in batches of nearly the same size.
  function* train(network, teacher, work, data, rows, settings, now, given) {
    const rules = rules_of(settings, now.n_old, now.n_seen), labels = rows.map((row) => settings.class_order.indexOf(data.labels[row]));
    // Nothing changes the images, so what the teacher says of them is asked for once.
    const taught = rules.taught ? logits_of(teacher, features_of(teacher, data, rows), rows.length) : null;
    const steps = Math.ceil(rows.length / settings.batch_size);
    work.velocity.fill(0);
    for (let epoch = 0; epoch < settings.epochs; epoch++) {
      const lr = learning_rate(settings.lr, epoch, settings.epochs);
      const order = given.order?.[now.stage][epoch] ?? permutation(rows.length, generator(settings.seed, 2, now.stage, epoch));
      for (let s = 0, at = 0; s < steps; s++) {
        const n = Math.floor(rows.length / steps) + (s < rows.length % steps);
        for (let i = 0; i < n; i++) {
          const place = order[at + i];
          take_image(data, rows[place], work, i);
          work.labels[i] = labels[place];
          if (taught) work.taught.set(taught.subarray(place * now.n_old, (place + 1) * now.n_old), i * now.n_old);
        }
        step(network, work, n, rules, lr);
        at += n;
        yield { kind: "batch", ...now, epoch, step: s, steps };
      }
      if (!network.weights.every(Number.isFinite)) throw new Error(`the weights are not finite after stage ${now.stage + 1}, epoch ${epoch + 1}; a lower learning rate may help`);
      yield { kind: "epoch", ...now, epoch };
    }
  }

  // A whole run, as numbers: accuracy and gamma after each stage, lengths of the prototypes.
  const summary_of = (stages) => ({
    accuracy: stages.map((stage) => stage.accuracy), before: stages.map((stage) => stage.before),
    gamma: stages.map((stage) => stage.gamma), norms: stages.map((stage) => stage.norms),
  });

  const run = (data, settings, given) => {
    const stages = [];
    for (const event of learn(data, settings, given)) if (event.kind === "stage") stages.push(event);
    return summary_of(stages);
  };

  return {
    PIXELS, FEATURES, CLASSES, HEAD, SIZE, DEFAULTS, generator, permutation, unpack, network_of, new_network, grow_to, copy_of, workspace,
    forward, softmax, kd_gradient, rules_of, step, learning_rate, herd, remember, lengths, alignment, align, mean,
    features_of, logits_of, confusion_matrix, class_accuracies, evaluate, rows_of, learn, run, summary_of,
  };
};
