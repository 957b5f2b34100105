// The laboratory's page: settings, pictures and words around the engine. One state, one `draw`.
(() => {
  "use strict";
  const engine = CilkitEngine(CilkitFormulas()), { DEFAULTS, PIXELS, FEATURES, HEAD } = engine;
  const NATURAL = DEFAULTS.class_order;

  // ---- The settings: what a control shows, what an address may hold, what Python is told.

  const METHODS = {
    finetune: ["forget", "fine-tuning", [0, 0, 0, 0]],
    lwf: ["LwF", "a teacher alone", [0, 1, 0, 0]],
    replay: ["replay", "exemplars alone", [1, 0, 0, 0]],
    "replay-kd": ["replay + teacher", "exemplars and a teacher", [1, 1, 0, 0]],
    wa: ["align", "WA: all three", [1, 1, 1, 0]],
    joint: ["joint", "all images kept", [0, 0, 0, 1]],
  };
  const FLAGS = ["exemplars", "teacher", "align", "joint"];
  // key: the package's name; short: in an address; stops: where its slider rests; usual: in the field; mark: the stop
  // that has a word under it, where `usual` is no number.
  const NUMBERS = [
    { key: "budget", short: "budget", group: "Exemplars", label: "budget", words: "images kept", stops: [0, 5, 10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400], whole: true, usual: "20 a class", mark: 200, chapter: 3 },
    { key: "kd_weight", short: "lambda", group: "Teacher", label: "λ", words: "weight of the teacher", stops: [0, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4], usual: "n/(n+m)", chapter: 4 },
    { key: "temperature", short: "T", group: "Teacher", label: "T", words: "temperature", stops: [0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16], usual: 2, chapter: 4 },
    { key: "gamma", short: "gamma", group: "Alignment", label: "γ by hand", words: "times the new prototypes", stops: Array.from({ length: 37 }, (_, i) => (4 + i) / 20), chapter: 5 },
    { key: "weight_decay", short: "wd", group: "Training", label: "weight decay", words: "pull towards zero", stops: [5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2], lowest: 0, usual: 5e-4, chapter: 5 },
    { key: "lr", short: "lr", group: "Training", label: "learning rate", words: "at its highest", stops: [0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.3], usual: 0.1, chapter: 2 },
    { key: "epochs", short: "epochs", group: "Training", label: "epochs", words: "of each stage", stops: [1, 2, 3, 5, 10, 15, 20, 30, 40], whole: true, usual: 170, chapter: 2 },
    { key: "seed", short: "seed", group: "Training", label: "seed", words: "weights and order of the images", stops: Array.from({ length: 100 }, (_, i) => i), highest: 999999, whole: true, chapter: 2 },
  ];
  const CHOICES = [
    { key: "budget_per", short: "per", group: "Exemplars", label: "counted", values: ["total", "class"], names: ["in total", "for each class"] },
    { key: "selection", short: "choose", group: "Exemplars", label: "chosen", values: ["herding", "random"], names: ["by herding", "at random"] },
    { key: "kd_mix", short: "mix", group: "Teacher", label: "mixed", values: ["additive", "convex"], names: ["CE + λ KD", "(1−λ) CE + λ KD"] },
    { key: "kd_t_squared", short: "t2", group: "Teacher", label: "KD is", values: [true, false], names: ["times T²", "as it is"] },
    { key: "clip_weights", short: "clip", group: "Alignment", label: "negative weights of prototypes", values: [false, true], names: ["stay", "are clipped to 0"] },
    { key: "increment", short: "at", group: "Classes", label: "classes at a time", values: [1, 2, 5], names: ["1", "2", "5"] },
  ];
  const GROUPS = ["Exemplars", "Teacher", "Alignment", "Training", "Classes"];
  const names_of = (control) => [control.short, control.key];
  const limits = (c) => [c.lowest ?? c.stops[0], c.highest ?? c.stops.at(-1)];
  const number = (value) => String(+value.toPrecision(6)).replace("e-", "e−");
  const plain = (value) => value === 0 ? "0" : value < 1e-3 ? value.toExponential().replace("e-", "e-") : String(+value.toPrecision(6));

  const method_of = (s) => Object.keys(METHODS).find((name) => s.joint ? name === "joint" : FLAGS.every((flag, i) => s[flag] === !!METHODS[name][2][i]));
  const with_method = (name) => Object.fromEntries(FLAGS.map((flag, i) => [flag, !!METHODS[name][2][i]]));

  // Read one part of an address, or say why not.
  const understood = (name, text) => {
    const choice = CHOICES.find((c) => names_of(c).includes(name)), control = NUMBERS.find((c) => names_of(c).includes(name));
    if (name === "method") return METHODS[text] ? with_method(text) : `method is one of ${Object.keys(METHODS).join(", ")}`;
    if (FLAGS.includes(name)) return /^(0|1|true|false)$/.test(text) ? { [name]: /1|true/.test(text) } : `${name} is 1 or 0`;
    if (name === "order") return [...text].sort().join("") === "0123456789" ? { class_order: [...text].map(Number) } : "order holds each of the ten digits once, as in 3140256789";
    if (choice) {
      const found = choice.values.find((value) => String(value) === text || (typeof value === "boolean" && String(+value) === text));
      return found === undefined ? `${name} is one of ${choice.values.map((v) => typeof v === "boolean" ? +v : v).join(", ")}` : { [choice.key]: found };
    }
    if (!control) return `there is no setting ${name}`;
    if (control.key === "kd_weight" && text === "dynamic") return { kd_weight: "dynamic" };
    if (control.key === "gamma" && text === "wa") return { gamma: "wa" };
    const value = Number(text), [low, high] = limits(control);
    const fits = text.trim() !== "" && value >= low && value <= high && (!control.whole || Number.isInteger(value));
    return fits ? { [control.key]: value } : `${name} lies between ${plain(low)} and ${plain(high)}${control.whole ? ", and is a whole number" : ""}`;
  };

  const from_address = (text) => {
    const settings = { ...DEFAULTS }, wrong = [];
    for (const part of text.split("&").filter(Boolean)) {
      const [name, value = ""] = part.split("=").map((piece) => { try { return decodeURIComponent(piece); } catch { return piece; } });
      const found = understood(name, value);
      if (typeof found === "string") wrong.push(`“${part}” was not understood: ${found}.`);
      else Object.assign(settings, found);
    }
    return { settings: mended(settings), wrong };
  };

  // A mix of (1 − λ) and λ allows no λ above 1: the package refuses it, the page takes 1.
  const mended = (s) => s.kd_mix === "convex" && s.kd_weight > 1 ? { ...s, kd_weight: 1 } : s;

  // The parts in which settings differ from the page's own.
  const differences = (s) => {
    const parts = [], name = method_of(s);
    if (name !== "wa") {
      if (name) parts.push(["method", name]);
      else for (const flag of FLAGS.slice(0, 3)) parts.push([flag, +s[flag]]);
    }
    for (const c of [...NUMBERS, ...CHOICES]) if (s[c.key] !== DEFAULTS[c.key]) parts.push([c.short, typeof s[c.key] === "boolean" ? +s[c.key] : typeof s[c.key] === "number" ? plain(s[c.key]) : s[c.key]]);
    if (String(s.class_order) !== String(NATURAL)) parts.push(["order", s.class_order.join("")]);
    return parts;
  };
  const to_address = (s) => differences(s).map((part) => part.join("=")).join("&");
  const title_of = (s) => {
    const name = method_of(s), boxes = FLAGS.slice(0, 3).filter((flag) => s[flag]).join(" + ");
    const rest = differences(s).filter(([key]) => key !== "method" && !FLAGS.includes(key)).map((part) => part.join(" "));
    return [name ? METHODS[name][0] === "align" ? "WA" : METHODS[name][0] : boxes, ...rest].join(", ");
  };

  // ---- The same in Python.

  const PYTHON = { True: true, False: false };
  const literal = (value) => {
    if (typeof value === "boolean") return Object.keys(PYTHON).find((word) => PYTHON[word] === value);
    if (Array.isArray(value)) return `(${value.join(", ")})`;
    return typeof value === "string" ? `"${value}"` : plain(value);
  };
  const BASES = { finetune: ["learner", "Learner"], lwf: ["methods.lwf", "LwF"], replay: ["methods.replay", "Replay"], "replay-kd": ["methods.replay_kd", "ReplayKD"], joint: ["methods.joint", "Joint"] };
  const in_python = (settings) => {
    const s = { ...settings, exemplars: settings.exemplars && settings.budget > 0 };
    const by_hand = s.gamma !== "wa", own = s.align && !s.joint && (by_hand || method_of(s) !== "wa");
    const clips = s.clip_weights && (own || method_of(s) !== "wa"), made = own || clips; // clipping is WA's
    const lines = ["from dataclasses import replace", "", `from cilkit import ${made ? "METHODS, " : ""}PRESETS, ${own && !by_hand ? "alignment, " : ""}build, learn`];
    if (made) {
      const [module, base] = BASES[method_of({ ...s, align: false })];
      const gamma = by_hand ? plain(s.gamma) : "alignment(stage_head.weight, stage.n_old).item()";
      lines.push(`from cilkit.${module} import ${base}`, "", "", `class ${own ? "Aligned" : "Clipped"}(${base}):`);
      if (clips) lines.push("    def stepped(self):", "        self.model.classifier.clip()", ...own ? [""] : []);
      if (own) lines.push("    def end(self, stage):", "        stage_head = self.model.classifier", "        if stage.n_old:", `            stage_head.scale_newest(${gamma})`, "        return super().end(stage)");
      lines.push("", "", own ? 'METHODS["aligned"] = Aligned' : 'METHODS["clipped"] = Clipped');
    }
    const change = { method: own ? "aligned" : clips ? "clipped" : method_of(s), backbone: "mlp", augment: "none", budget: s.budget, epochs: s.epochs, lr: s.lr, weight_decay: s.weight_decay, seed: s.seed };
    for (const c of [...NUMBERS, ...CHOICES]) if (c.key !== "gamma" && !(clips && c.key === "clip_weights") && s[c.key] !== DEFAULTS[c.key]) change[c.key] = s[c.key];
    if (change.budget === 0) delete change.budget;
    if (String(s.class_order) !== String(NATURAL)) change.class_order = s.class_order;
    lines.push("config = replace(", '    PRESETS["digits"],', ...Object.entries(change).map(([key, value]) => `    ${key}=${literal(value)},`), ")");
    if (s.exemplars && s.budget_per === "total" && s.budget < 10) lines.push("# cilkit refuses a total budget below one exemplar for each class.");
    lines.push("learner, scenario = build(config)", "for record in learn(learner, scenario):", "    print(record)");
    return lines.join("\n");
  };

  // ---- A trainer: in a worker made of this page's own text, else in slices on this thread.

  const trainer = (digits, hear) => {
    const source = `const post = (m) => postMessage(m); const ask = (${CilkitTrainer})((${CilkitEngine})((${CilkitFormulas})()), post, 20); onmessage = (event) => ask(event.data);`;
    let ask, worker;
    try {
      if (window.cilkitLabWithoutWorker) throw new Error("asked for");
      worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
      worker.onmessage = (event) => hear(event.data);
      ask = (message) => worker.postMessage(message);
    } catch {
      ask = CilkitTrainer(engine, (message) => hear(message), 30);
    }
    const mode = worker ? "worker" : "slices";
    ask({ ask: "data", digits });
    return { ask, mode };
  };

  // Whole runs without a picture, one after the other.
  const runner = (digits) => {
    const waiting = new Map();
    let last = Promise.resolve(), count = 0, quiet;
    const hear = (message) => {
      const job = waiting.get(message.id);
      if (message.kind === "stage") job.stages.push(message);
      if (message.kind === "failed") job.reject(new Error(message.message));
      if (message.kind === "done") job.resolve(engine.summary_of(job.stages));
    };
    return (settings) => {
      const job = () => new Promise((resolve, reject) => {
        quiet ??= trainer(digits, hear);
        waiting.set(++count, { resolve, reject, stages: [] });
        quiet.ask({ ask: "learn", id: count, settings, quiet: true });
      });
      const result = last.then(job);
      last = result.catch(() => {});
      return result;
    };
  };

  // `run({exemplars: false})` or `run({method: "lwf", wd: 5e-4})`: any names that an address knows.
  const asked_for = (options) => {
    const settings = { ...DEFAULTS };
    for (const [name, value] of Object.entries(options)) {
      if (name === "class_order" || name === "order") {
        Object.assign(settings, checked(understood("order", [...value].join(""))));
      } else if (name === "batch_size") settings.batch_size = value;
      else Object.assign(settings, checked(understood(name, String(value))));
    }
    return mended(settings);
  };
  const checked = (found) => {
    if (typeof found === "string") throw new Error(`${found}.`);
    return found;
  };

  // ---- Words and marks.

  const percent = (value) => `${value.toFixed(1)} %`;
  const escaped = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
  const stop_near = (control, value) => control.stops.reduce((best, stop, i) => Math.abs(Math.log((stop + 1e-9) / (value + 1e-9))) < Math.abs(Math.log((control.stops[best] + 1e-9) / (value + 1e-9))) ? i : best, 0);
  const spread = (values) => {
    const m = engine.mean(values), s = Math.sqrt(values.reduce((sum, v) => sum + (v - m) ** 2, 0) / Math.max(1, values.length - 1));
    return `${m.toFixed(1)} ± ${s.toFixed(1)}`;
  };

  const W = 360, H = 210, LEFT = 34, RIGHT = 352, TOP = 12, BOTTOM = 180;
  const x_of = (c, n) => LEFT + (RIGHT - LEFT) * (c + 0.5) / n;
  const y_of = (value, most) => BOTTOM - (BOTTOM - TOP) * Math.min(value, most) / most;
  const text = (x, y, words, more = "") => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="middle" ${more}>${words}</text>`;
  const axis = (ticks, most) => ticks.map((tick) => `<path class="grid" d="M${LEFT},${y_of(tick, most)}H${RIGHT}"/>${text(LEFT - 16, y_of(tick, most) + 4, tick)}`).join("");
  const bar = (c, n, value, most, name) => `<rect class="${name}" x="${(x_of(c, n) - 11).toFixed(1)}" width="22" y="${y_of(value, most).toFixed(1)}" height="${(BOTTOM - y_of(value, most)).toFixed(1)}"/>`;

  // ---- One laboratory.

  const awaken = (root) => {
    const digits = JSON.parse(root.querySelector("script.cil-digits").textContent);
    const data = engine.unpack(digits.images, digits.labels, digits.train);
    const run_quietly = runner(digits), $ = (selector) => root.querySelector(selector);
    const state = {
      settings: { ...DEFAULTS }, run: null, previous: null, kept: [], band: null, at: null, phase: "ready", until: "end", hold: true,
      guess: 50, guessed: false, panel: "lengths", drawn: null, finished: [], solved: {}, held: null, live: null,
    };
    let dirty = false, count = 0;
    const changed = () => { if (!dirty) requestAnimationFrame(draw); dirty = true; };
    const say = (words) => { $(".lab-says").textContent = words; };

    // -- What is shown: a snapshot of the run, with γ by hand where the reader wants it.

    const shown = () => {
      const list = state.run?.snapshots ?? [];
      return list[state.at ?? list.length - 1] ?? null;
    };
    const stage_end = (run, stage) => run?.snapshots.findLast((s) => s.stage === stage && s.kind === "stage");
    const network_at = (snapshot) => {
      const weights = new Float32Array(engine.SIZE);
      weights.set(snapshot.weights);
      return engine.network_of(weights, snapshot.n_seen);
    };
    const by_hand = (snapshot) => {
      const gamma = state.settings.gamma;
      if (!snapshot || gamma === "wa" || snapshot.kind !== "stage" || !snapshot.n_old) return snapshot;
      const trained = state.run.snapshots.findLast((s) => s.stage === snapshot.stage && s.kind === "epoch");
      const order = state.run.settings.class_order, network = network_at(trained);
      const rows = engine.rows_of(data, order.slice(0, snapshot.n_seen), "test");
      trained.features ??= engine.features_of(network, data, rows); // γ changes none of them
      engine.align(network, snapshot.n_old, gamma);
      const labels = rows.map((row) => order.indexOf(data.labels[row]));
      const confusion = engine.confusion_matrix(engine.logits_of(network, trained.features, rows.length), labels, snapshot.n_seen);
      return { ...snapshot, gamma, confusion, weights: network.weights.slice(0, snapshot.weights.length), norms: engine.lengths(network.head, snapshot.n_seen), accuracy: engine.mean(engine.class_accuracies(confusion)) };
    };

    // -- The pictures. Each returns its marks and its words.

    const PICTURES = {
      lengths: ["Prototype lengths", (s) => {
        const live = state.at === null && state.live?.stage === s.stage;
        const norms = live ? state.live.norms : s.norms, most = Math.max(1, ...norms) * 1.12, n = 10;
        const step = most > 20 ? Math.ceil(most / 4) : most > 4 ? 2 : most > 2 ? 1 : 0.5;
        const ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => +(i * step).toFixed(1));
        const order = state.run.settings.class_order, [old, fresh] = [norms.slice(0, s.n_old), norms.slice(s.n_old)].map((v) => v.length ? engine.mean(v) : NaN);
        const marks = [axis(ticks, most), ...norms.map((v, c) => bar(c, n, v, most, c < s.n_old ? "old" : "new"))];
        if (state.held) norms.forEach((v, c) => { if (c >= s.n_old) marks.push(`<path class="line dash" d="M${x_of(c, n) - 13},${y_of(v * state.held.used, most)}h26"/>`); });
        order.forEach((digit, c) => marks.push(text(x_of(c, n), BOTTOM + 16, digit, c < norms.length ? "" : 'class="faint"')));
        if (s.n_old) {
          marks.push(`<path class="line old dash" d="M${LEFT},${y_of(old, most)}H${x_of(s.n_old - 0.4, n)}"/><path class="line new dash" d="M${x_of(s.n_old - 0.6, n)},${y_of(fresh, most)}H${RIGHT}"/>`);
        }
        const words = s.n_old ? `old ${old.toFixed(2)}, new ${fresh.toFixed(2)} on average: old/new = ${(old / fresh).toFixed(2)}` : `${fresh.toFixed(2)} on average; no class is old yet`;
        return [marks.join(""), state.held ? `${words}. Dashes: where γ = ${state.held.used.toFixed(2)} will put the new ones` : words];
      }],
      digits: ["Accuracy on each digit (%)", (s) => {
        const found = engine.class_accuracies(s.confusion), order = state.run.settings.class_order, n = 10;
        const before = stage_end(state.previous, s.stage), outline = before && String(state.previous.settings.class_order) === String(order) && before.n_seen === s.n_seen ? engine.class_accuracies(before.confusion) : null;
        const marks = [axis([0, 50, 100], 100), ...found.map((v, c) => bar(c, n, v, 100, c < s.n_old ? "old" : "new"))];
        outline?.forEach((v, c) => marks.push(`<rect class="line dash" x="${x_of(c, n) - 13}" width="26" y="${y_of(v, 100)}" height="${BOTTOM - y_of(v, 100)}"/>`));
        order.forEach((digit, c) => marks.push(text(x_of(c, n), BOTTOM + 16, digit, c < s.n_seen ? "" : 'class="faint"')));
        if (state.guessed) marks.push(`<path class="line" d="M${LEFT},${y_of(state.guess, 100)}H${x_of(1.5, n)}"/>${text(x_of(2.2, n), y_of(state.guess, 100) + 4, "guess")}`);
        const old = s.n_old ? `old ${percent(engine.mean(found.slice(0, s.n_old)))}, new ${percent(engine.mean(found.slice(s.n_old)))}, ` : "";
        return [marks.join(""), `${old}all ${percent(engine.mean(found))}${outline ? ". Dashed: the run before" : ""}`];
      }],
      stages: ["Accuracy over the stages (%)", (s) => {
        const most = 100, at = (i, n) => LEFT + 8 + (RIGHT - LEFT - 34) * (n > 1 ? i / (n - 1) : 0), marks = [axis([0, 50, 100], most)];
        const line = (values, n, name) => `<path class="${name}" d="${values.map((v, i) => `${i ? "L" : "M"}${at(i, n).toFixed(1)},${y_of(v, most).toFixed(1)}`).join("")}"/>`;
        if (state.band) {
          const n = state.band.runs[0].length, columns = state.band.runs[0].map((_, i) => state.band.runs.map((run) => run[i]));
          const [low, high] = [columns.map((c) => Math.min(...c)), columns.map((c) => Math.max(...c))];
          marks.push(`<path class="band" d="${[...high.map((v, i) => [at(i, n), v]), ...low.map((v, i) => [at(i, n), v]).reverse()].map(([x, v], i) => `${i ? "L" : "M"}${x},${y_of(v, most)}`).join("")}Z"/>`, line(columns.map(engine.mean), n, "line faint"));
        }
        state.kept.forEach((run, i) => {
          marks.push(line(run.accuracy, 10 / run.settings.increment, "line kept"), text(RIGHT - 6, y_of(run.accuracy.at(-1), most) + 4, `${i + 1}`));
        });
        const n = 10 / (state.run ?? state.band).settings.increment, own = (state.run?.snapshots ?? []).filter((e) => e.kind === "stage").map((e) => by_hand(e).accuracy);
        if (own.length) marks.push(line(own, n, "line strong"));
        own.forEach((v, i) => marks.push(`<circle cx="${at(i, n)}" cy="${y_of(v, most)}" r="${i === s?.stage ? 5 : 3}"/>`));
        for (let i = 0; i < n; i++) marks.push(text(at(i, n), BOTTOM + 16, i + 1));
        const words = own.length ? `after ${own.length} of ${n} stages ${percent(own.at(-1))}` : "no stage is finished yet";
        return [marks.join(""), words + (state.band ? `. Five seeds: ${spread(state.band.runs.map((run) => run.at(-1)))}` : "") + (state.kept.length ? ". Thin, with their numbers: the runs you kept" : "")];
      }],
      confusion: ["What is taken for what", (s) => {
        const order = state.run.settings.class_order, cell = 17, left = 92, marks = [];
        s.confusion.forEach((row, r) => {
          const all = row.reduce((a, b) => a + b, 0);
          row.forEach((v, c) => {
            marks.push(`<rect class="${c < s.n_old ? "old" : "new"}" fill-opacity="${(v / all).toFixed(2)}" x="${left + c * cell}" y="${14 + r * cell}" width="${cell - 1}" height="${cell - 1}"/>`);
            if (v) marks.push(text(left + c * cell + 8, 26 + r * cell, v, `class="small${v / all > 0.5 ? " on" : ""}"`));
          });
        });
        for (let c = 0; c < 10; c++) marks.push(text(left - 10, 27 + c * cell, order[c], c < s.n_seen ? "" : 'class="faint"'), text(left + c * cell + 8, 14 + 10 * cell + 12, order[c], c < s.n_seen ? "" : 'class="faint"'));
        marks.push(text(left + 5 * cell, 208, "taken for"), `<text x="8" y="104">is</text>`);
        const total = s.confusion.flat().reduce((a, b) => a + b, 0), fresh = s.confusion.reduce((sum, row) => sum + row.slice(s.n_old).reduce((a, b) => a + b, 0), 0);
        const fair = s.confusion.slice(s.n_old).flat().reduce((a, b) => a + b, 0);
        return [marks.join(""), `“New” is said ${percent(100 * fresh / total)} of the time; fair were ${percent(100 * fair / total)}`];
      }],
    };

    const draw_memory = (s) => {
      const canvas = $(".lab-memory"), end = stage_end(state.run, s.stage) && s.kind === "stage" ? s : state.run.snapshots.findLast((e) => e.kind === "stage" && e.stage < s.stage);
      const memory = state.run.settings.joint ? [] : end?.memory ?? [], size = 16, columns = 20, pen = canvas.getContext("2d");
      canvas.width = 20 + size * columns;
      canvas.height = size * 10;
      const ink = getComputedStyle(root).color.match(/[\d.]+/g);
      pen.fillStyle = `rgb(${ink.slice(0, 3)})`;
      pen.font = "12px sans-serif";
      memory.forEach((rows, c) => {
        pen.globalAlpha = 1;
        pen.fillText(state.run.settings.class_order[c], 2, c * size + 13);
        rows.slice(0, columns).forEach((row, i) => paint(pen, data.levels.subarray(row * PIXELS, (row + 1) * PIXELS), 20 + i * size, c * size, (size - 2) / 8));
      });
      const each = memory.length ? memory[0].length : 0, all = memory.flat().length;
      const words = state.run.settings.joint ? "joint training keeps every image" : all ? `${each} of each of ${memory.length} digits: ${all} images${each > columns ? `, the first ${columns} of each are shown` : ""}` : "nothing is kept yet";
      canvas.setAttribute("aria-label", words);
      $(".lab-memory-says").textContent = words;
    };
    const paint = (pen, levels, x, y, pixel) => {
      for (let i = 0; i < PIXELS; i++) {
        pen.globalAlpha = levels[i] / 16;
        pen.fillRect(x + (i % 8) * pixel, y + Math.floor(i / 8) * pixel, pixel + 0.1, pixel + 0.1);
      }
      pen.globalAlpha = 1;
    };

    // What student and teacher say about the digit at hand, at temperature T.
    const draw_opinions = (s) => {
      const levels = state.drawn, svg = $(".lab-opinions"), says = $(".lab-opinions-says");
      if (!levels || !s) {
        svg.innerHTML = "";
        says.textContent = s ? "Draw, or choose one of the ten below." : "Train first: the network knows nothing yet.";
        return;
      }
      const T = state.settings.temperature, order = state.run.settings.class_order, images = Float32Array.from(levels, (level) => data.shades[level]);
      const opinion = (snapshot) => {
        const network = network_at(snapshot), work = state.bench ??= engine.workspace(Float32Array, 1);
        engine.forward(network, images, 1, work);
        return Array.from(engine.softmax(work.logits, 0, snapshot.n_seen, T, new Float64Array(10))).slice(0, snapshot.n_seen);
      };
      const ends = state.run.snapshots.filter((e) => e.kind === "stage" && e.stage < s.stage);
      const student = opinion(by_hand(s)), teacher = ends.length ? opinion(ends.at(-1)) : null;
      const best = (p) => order[p.indexOf(Math.max(...p))], marks = [axis([0, 1], 1)];
      student.forEach((p, c) => marks.push(`<rect class="${c < s.n_old ? "old" : "new"}" x="${x_of(c, 10) - 12}" width="12" y="${y_of(p, 1)}" height="${BOTTOM - y_of(p, 1)}"/>`));
      teacher?.forEach((p, c) => marks.push(`<rect class="line" x="${x_of(c, 10) + 1}" width="11" y="${y_of(p, 1)}" height="${BOTTOM - y_of(p, 1)}"/>`));
      order.forEach((digit, c) => marks.push(text(x_of(c, 10), BOTTOM + 16, digit, c < s.n_seen ? "" : 'class="faint"')));
      svg.innerHTML = marks.join("");
      const sure = (p) => `${best(p)} (${percent(100 * Math.max(...p))} at T = ${number(T)})`;
      says.textContent = `The student says ${sure(student)}${teacher ? `; its teacher, in outline, ${sure(teacher)}` : "; there is no teacher in the first stage"}.`;
      svg.setAttribute("aria-label", says.textContent);
    };

    const draw = () => {
      dirty = false;
      const s = by_hand(shown());
      root.dataset.phase = state.phase;
      for (const [name, [, picture]] of Object.entries(PICTURES)) {
        const svg = $(`.lab-panel[data-panel="${name}"] svg`), says = $(`.lab-panel[data-panel="${name}"] output`);
        const [marks, words] = s || (name === "stages" && state.band) ? picture(s) : [text(W / 2, H / 2, "Press Train."), "nothing is trained yet"];
        svg.innerHTML = marks;
        svg.setAttribute("aria-label", `${PICTURES[name][0]}: ${words}`);
        says.textContent = words;
      }
      if (s) draw_memory(s);
      draw_opinions(s);
      draw_time(s);
      draw_buttons();
    };

    const place_of = (s) => s.kind === "start" ? `stage ${s.stage + 1}, before its first step` : s.kind === "stage" ? `end of stage ${s.stage + 1}${s.gamma ? `, γ = ${s.gamma.toFixed(2)}` : ""}` : `stage ${s.stage + 1}, epoch ${s.epoch + 1}`;
    const draw_time = (s) => {
      const slider = $(".lab-time input"), list = state.run?.snapshots ?? [];
      slider.max = Math.max(0, list.length - 1);
      slider.value = state.at ?? list.length - 1;
      slider.disabled = list.length < 2;
      const where = s ? place_of(s) : "no run yet", counts = [];
      for (const { stage } of list) counts[stage] = (counts[stage] ?? 0) + 1;
      $(".lab-blocks").innerHTML = counts.map((n, stage) => `<span style="flex-grow:${n}">${stage + 1}</span>`).join("");
      slider.setAttribute("aria-valuetext", where);
      $(".lab-time output").textContent = state.live && state.at === null ? `stage ${state.live.stage + 1}, epoch ${state.live.epoch + 1}, step ${state.live.step + 1}` : where;
    };

    // γ and T act at once; whatever else differs waits for the next run.
    const waits = () => to_address({ ...state.run.settings, gamma: 0, temperature: 0 }) !== to_address({ ...state.settings, gamma: 0, temperature: 0 });
    const BUTTONS = { ready: "Train", running: "Pause", paused: "Go on", held: "Next: align", done: "Train again", failed: "Train again" };
    const draw_buttons = () => {
      $(".lab-train").textContent = BUTTONS[state.phase];
      $(".lab-run-title").textContent = state.run ? `Shown: ${title_of(state.run.settings)}.${waits() ? " The settings have changed: they hold for the next run." : ""}` : "";
      for (const button of root.querySelectorAll(".lab-step")) button.disabled = state.phase === "running";
      $(".lab-keep").disabled = state.phase !== "done";
      $(".lab-restart").disabled = state.phase === "ready";
    };

    // -- Training.

    const hear = (message) => {
      if (message.id !== count) return; // of a run that was given up
      const run = state.run;
      if (message.kind === "now") state.live = message;
      if (["start", "epoch", "stage"].includes(message.kind)) {
        run.snapshots.push(message);
        state.live = null;
        state.held = null;
      }
      if (message.kind === "trained") run.trained = message;
      if (message.kind === "held") {
        state.held = run.trained;
        state.phase = "held";
        say(`Stage ${run.trained.stage + 1} is trained: ${percent(run.trained.accuracy)}. γ is ${run.trained.used.toFixed(2)}. Press “Next: align” to see what it does.`);
      }
      if (message.kind === "paused" && state.phase === "running") state.phase = "paused";
      if (message.kind === "stage") tell_stage(message);
      if (message.kind === "failed") {
        state.phase = "failed";
        say(`The run has stopped: ${message.message}.`);
      }
      if (message.kind === "done") finish();
      changed();
    };
    const teach = trainer(digits, hear);

    const tell_stage = (s) => {
      const stages = 10 / state.run.settings.increment, aligned = s.gamma ? ` Alignment: γ = ${s.gamma.toFixed(2)}, from ${percent(s.before)} to ${percent(s.accuracy)}.` : "";
      say(`Stage ${s.stage + 1} of ${stages}: ${percent(s.accuracy)} of ${s.n_seen} digits.${aligned}`);
    };

    const start = () => {
      if (state.run?.accuracy) state.previous = state.run;
      state.run = { settings: { ...state.settings, class_order: [...state.settings.class_order] }, snapshots: [] };
      Object.assign(state, { at: null, live: null, held: null });
      teach.ask({ ask: "learn", id: ++count, settings: state.run.settings });
    };
    const go = (until) => {
      if (["ready", "done", "failed"].includes(state.phase)) start();
      state.until = until;
      state.phase = "running";
      state.at = null;
      teach.ask({ ask: "go", until, hold: state.hold });
      draw(); // at once: who waits for the end must not see the last run's
    };
    const pause = () => {
      state.phase = "paused";
      teach.ask({ ask: "pause" });
      draw();
    };
    const restart = () => {
      teach.ask({ ask: "pause" });
      if (state.run?.accuracy) state.previous = state.run;
      count += 1;
      Object.assign(state, { run: null, phase: "ready", at: null, live: null, held: null });
      say("Ready.");
      draw();
    };

    const finish = () => {
      const run = state.run, ends = run.snapshots.filter((s) => s.kind === "stage"), last = ends.at(-1);
      Object.assign(run, engine.summary_of(ends), { title: title_of(run.settings) });
      state.phase = "done";
      state.finished.push(run);
      const left = engine.mean(engine.class_accuracies(last.confusion).slice(0, 2)), [a, b] = run.settings.class_order;
      const words = [`All ten digits: ${percent(last.accuracy)}; of ${a} and ${b} are left ${percent(left)}.`];
      if (last.gamma) words.push(`The last alignment, γ = ${last.gamma.toFixed(2)}, took all from ${percent(last.before)} to ${percent(last.accuracy)}.`);
      if (state.guessed) {
        const off = state.guess - left;
        words.push(`You said ${state.guess} %: ${Math.abs(off) < 5 ? "nearly right" : `${Math.abs(off).toFixed(0)} points too ${off > 0 ? "high" : "low"}`}.`);
      }
      for (const mission of MISSIONS) if (!state.solved[mission.name]) {
        const found = mission.check(run, state.finished);
        if (found) {
          state.solved[mission.name] = found;
          words.push(`Mission “${mission.name}” is done: ${found}.`);
        }
      }
      draw_missions();
      say(words.join(" "));
      state.guessed = false;
    };

    const five_seeds = async () => {
      const settings = { ...state.settings }, runs = [], button = $(".lab-seeds");
      button.disabled = true;
      try {
        for (let i = 0; i < 5; i++) {
          $(".lab-seeds-says").textContent = `seed ${i + 1} of 5 …`;
          runs.push((await run_quietly({ ...settings, seed: settings.seed + i })).accuracy);
          state.band = { settings, runs: [...runs] };
          changed();
        }
        const words = `${title_of(settings)}, five seeds: ${spread(runs.map((run) => run.at(-1)))} % after the last stage.`;
        $(".lab-seeds-says").textContent = words;
        say(words);
      } catch (error) {
        $(".lab-seeds-says").textContent = `The runs have stopped: ${error.message}.`;
      }
      button.disabled = false;
    };

    // -- Missions: each looks at the runs that are finished.

    const same_but = (a, b, keys) => Object.keys(DEFAULTS).every((key) => keys.includes(key) === (String(a[key]) !== String(b[key])));
    const changed_keys = (s) => Object.keys(DEFAULTS).filter((key) => key !== "seed" && String(s[key]) !== String(DEFAULTS[key]));
    const gain = (run) => run.accuracy.at(-1) - run.before.at(-1);
    const is_wa = (run) => method_of(run.settings) === "wa" && run.settings.gamma === "wa";
    const MISSIONS = [
      { name: "γ above 1", words: "Let WA find a γ larger than 1 in some stage.", check: (run) => is_wa(run) && run.gamma.some((g) => g > 1) && `γ = ${Math.max(...run.gamma).toFixed(2)}` },
      { name: "Enough exemplars", words: "Find the budget from which WA's last alignment brings less than a point: a run where it brings more, and one with at most twice the budget where it does not.", check: (run, all) => {
        const pairs = all.flatMap((a) => all.map((b) => [a, b])).filter(([a, b]) => is_wa(a) && is_wa(b) && same_but(a.settings, b.settings, ["budget"]) && gain(a) >= 1 && Math.abs(gain(b)) < 1 && b.settings.budget > a.settings.budget && b.settings.budget <= 2 * a.settings.budget);
        return pairs.length > 0 && `between ${pairs[0][0].settings.budget} and ${pairs[0][1].settings.budget}`;
      } },
      { name: "T matters", words: "Two runs that differ in T alone, and by more than five points at the end.", check: (run, all) => {
        const other = all.find((b) => same_but(run.settings, b.settings, ["temperature"]) && Math.abs(run.accuracy.at(-1) - b.accuracy.at(-1)) > 5);
        return other && `${percent(run.accuracy.at(-1))} with T = ${run.settings.temperature}, ${percent(other.accuracy.at(-1))} with T = ${other.settings.temperature}`;
      } },
      { name: "Ninety with fifty", words: "More than 90 % at the end with at most 50 exemplars in total, two classes at a time.", check: (run) => !run.settings.joint && run.settings.increment === 2 && run.settings.budget_per === "total" && run.settings.budget <= 50 && run.accuracy.at(-1) > 90 && percent(run.accuracy.at(-1)) },
      { name: "The worst second stage", words: "An order of the digits in which WA, all else as it was, knows less than 95 % after the second stage.", check: (run) => changed_keys(run.settings).every((key) => key === "class_order") && run.accuracy[1] < 95 && `${percent(run.accuracy[1])} with ${run.settings.class_order.slice(0, 4).join(", ")}` },
      { name: "Harm by one knob", words: "Change one setting of the page's own, so that an alignment makes things worse by more than five points.", check: (run) => {
        const harms = run.accuracy.map((after, i) => run.before[i] - after), worst = harms.indexOf(Math.max(...harms)), changes = changed_keys(run.settings);
        return is_wa(run) && changes.length === 1 && harms[worst] > 5 && `${changes[0].replace("_", " ")}: ${percent(run.before[worst])} before, ${percent(run.accuracy[worst])} after, in stage ${worst + 1}`;
      } },
    ];
    const draw_missions = () => {
      $(".lab-missions").innerHTML = MISSIONS.map((m) => `<li class="${state.solved[m.name] ? "solved" : ""}"><strong>${m.name}</strong>${state.solved[m.name] ? ` ✓ done, ${escaped(state.solved[m.name])}` : ""}. ${m.words}</li>`).join("");
    };

    // -- The controls.

    const control_html = (c) => {
      if (c.stops) {
        const special = { kd_weight: ["dynamic", "n/(n+m)"], gamma: ["wa", "WA’s own"] }[c.key];
        const box = special ? `<label class="lab-check"><input type="checkbox" data-special="${c.key}"> ${special[1]}</label>` : "";
        const words = `usual: ${typeof c.usual === "number" ? number(c.usual) : c.usual}`, at = c.stops.indexOf(c.mark ?? c.usual) / (c.stops.length - 1);
        const tick = at < 0 ? "" : `<small class="lab-tick${at > 0.5 ? " left" : ""}" style="--at:${at}">${at > 0.5 ? `${words} ▴` : `▴ ${words}`}</small>`;
        const usual = tick || c.usual === undefined ? "" : `<small>${words}; here ${number(DEFAULTS[c.key])}</small>`;
        return `<div class="lab-number"><label for="lab-${c.key}"><b>${c.label}</b> ${c.words}</label><output data-value="${c.key}" aria-live="off"></output><input id="lab-${c.key}" type="range" min="0" max="${c.stops.length - 1}" data-key="${c.key}" autocomplete="off">${tick}${box}${usual}</div>`;
      }
      return `<fieldset class="lab-choice"><legend>${c.label}</legend>${c.values.map((value, i) => `<label><input type="radio" name="lab-${c.key}" data-key="${c.key}" value="${value}"> ${c.names[i]}</label>`).join("")}</fieldset>`;
    };
    const order_html = () => `<fieldset class="lab-order"><legend>order of the digits</legend><div class="lab-tiles"></div><div class="lab-row"><button type="button" data-order="natural">natural</button><button type="button" data-order="shuffle">shuffle</button></div><small>Press two tiles to swap them, or drag one; with the keyboard, arrows move the tile.</small></fieldset>`;
    const group_html = (group) => `<details class="lab-group" ${["Exemplars", "Training"].includes(group) ? "open" : ""}><summary>${group}</summary>${[...NUMBERS, ...CHOICES].filter((c) => c.group === group).map(control_html).join("")}${group === "Classes" ? order_html() : ""}</details>`;

    const build = () => {
      $(".lab-methods").innerHTML = Object.entries(METHODS).map(([name, [word, more]]) => `<button type="button" data-method="${name}" title="${more}">${word}</button>`).join("");
      $(".lab-boxes").innerHTML = FLAGS.slice(0, 3).map((flag) => `<label class="lab-check"><input type="checkbox" data-flag="${flag}"> ${flag}</label>`).join("");
      $(".lab-groups").innerHTML = GROUPS.map(group_html).join("");
      $(".lab-pictures").insertAdjacentHTML("afterbegin", Object.entries(PICTURES).map(([name, [title]]) => `<section class="lab-panel" data-panel="${name}" id="lab-panel-${name}"><h2>${title}</h2><svg viewBox="0 0 ${W} ${H}" role="img"></svg><output aria-live="off"></output></section>`).join(""));
      const panels = [...root.querySelectorAll(".lab-panel")];
      $(".lab-tabs").innerHTML = panels.map((panel) => `<button type="button" role="tab" id="lab-tab-${panel.dataset.panel}" aria-controls="${panel.id}" data-tab="${panel.dataset.panel}">${panel.dataset.short ?? { lengths: "Lengths", digits: "Digits", stages: "Stages", confusion: "Mix-ups" }[panel.dataset.panel]}</button>`).join("");
      $(".lab-examples").innerHTML = NATURAL.map((digit) => `<button type="button" data-example="${digit}" aria-label="an example of ${digit}"><canvas width="32" height="32"></canvas></button>`).join("");
      draw_missions();
      choose_panel("lengths");
    };

    const thumbnails = () => {
      const ink = getComputedStyle(root).color;
      for (const button of root.querySelectorAll("[data-example], [data-tile]")) {
        const canvas = button.querySelector("canvas"), pen = canvas.getContext("2d"), digit = +(button.dataset.example ?? state.settings.class_order[button.dataset.tile]);
        const row = engine.rows_of(data, [digit], "test")[0];
        pen.clearRect(0, 0, 32, 32);
        pen.fillStyle = ink;
        paint(pen, data.levels.subarray(row * PIXELS, (row + 1) * PIXELS), 0, 0, 4);
      }
    };

    const show_settings = () => {
      const s = state.settings, name = method_of(s);
      for (const button of root.querySelectorAll("[data-method]")) button.setAttribute("aria-pressed", button.dataset.method === name);
      for (const box of root.querySelectorAll("[data-flag]")) [box.checked, box.disabled] = [s[box.dataset.flag] && !s.joint, s.joint];
      for (const c of NUMBERS) {
        const input = $(`input[data-key="${c.key}"]`), value = s[c.key], special = typeof value === "string";
        input.value = stop_near(c, special ? (c.key === "gamma" ? 1 : 0.5) : value);
        const shows = special ? { dynamic: "n/(n+m)", wa: "WA’s" }[value] : number(value);
        $(`output[data-value="${c.key}"]`).textContent = shows;
        input.setAttribute("aria-valuetext", shows);
        const box = $(`input[data-special="${c.key}"]`);
        if (box) box.checked = special;
      }
      for (const radio of root.querySelectorAll("input[type=radio]")) radio.checked = String(s[radio.dataset.key]) === radio.value;
      $(".lab-python").textContent = in_python(s);
      show_tiles();
    };
    const show_tiles = () => {
      const tiles = $(".lab-tiles");
      if (!tiles.children.length) tiles.innerHTML = NATURAL.map((i) => `<button type="button" draggable="true" data-tile="${i}"><canvas width="32" height="32"></canvas></button>`).join("");
      [...tiles.children].forEach((tile, i) => {
        tile.setAttribute("aria-label", `place ${i + 1}: ${state.settings.class_order[i]}`);
        tile.setAttribute("aria-pressed", state.tile === i);
      });
      thumbnails();
    };

    const set = (change) => {
      state.settings = mended({ ...state.settings, ...change });
      try { history.replaceState(null, "", `#${to_address(state.settings)}`); } catch { /* a notebook's frame has no address of its own */ }
      show_settings();
      changed();
    };

    const swap = (a, b) => {
      const order = [...state.settings.class_order];
      [order[a], order[b]] = [order[b], order[a]];
      state.tile = null;
      set({ class_order: order });
    };
    const moved = (from, to) => {
      const order = [...state.settings.class_order];
      order.splice(to, 0, ...order.splice(from, 1));
      state.tile = null;
      set({ class_order: order });
    };

    const choose_panel = (name) => {
      state.panel = name;
      for (const panel of root.querySelectorAll(".lab-panel")) panel.classList.toggle("lab-chosen", panel.dataset.panel === name);
      for (const tab of root.querySelectorAll("[data-tab]")) {
        tab.setAttribute("aria-selected", tab.dataset.tab === name);
        tab.tabIndex = tab.dataset.tab === name ? 0 : -1;
      }
    };

    const show_kept = () => {
      $(".lab-kept").innerHTML = state.kept.map((run, i) => `<li>${escaped(run.title)}: ${percent(run.accuracy.at(-1))} <button type="button" data-drop="${i}" aria-label="drop run ${i + 1}">drop</button></li>`).join("");
    };

    // -- Drawing: strokes are fitted into 32 × 32 dots and counted in squares of 4 × 4, as the data set was.

    const pad = $(".lab-pad"), strokes = [];
    const levels_of = (lines) => {
      const points = lines.flat(), [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
      const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
      const scale = 27 / Math.max(right - left, bottom - top, 1e-6), levels = new Uint8Array(PIXELS);
      const fit = ([x, y]) => [16 + (x - (left + right) / 2) * scale, 16 + (y - (top + bottom) / 2) * scale];
      const parts = lines.flatMap((line) => line.map((p, i) => [fit(line[Math.max(0, i - 1)]), fit(p)]));
      for (let y = 0; y < 32; y++) for (let x = 0; x < 32; x++) if (parts.some(([a, b]) => away(x + 0.5, y + 0.5, a, b) < 2.4)) levels[(y >> 2) * 8 + (x >> 2)] += 1;
      return levels;
    };
    const away = (x, y, [ax, ay], [bx, by]) => {
      const square = (bx - ax) ** 2 + (by - ay) ** 2, t = square ? Math.max(0, Math.min(1, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / square)) : 0;
      return Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay));
    };
    const show_pad = () => {
      const pen = pad.getContext("2d");
      pen.clearRect(0, 0, 160, 160);
      pen.fillStyle = pen.strokeStyle = getComputedStyle(root).color;
      if (state.drawn) paint(pen, state.drawn, 0, 0, 20);
      pen.lineWidth = 3;
      for (const line of strokes) {
        pen.beginPath();
        line.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](x * 160, y * 160));
        pen.stroke();
      }
    };
    const point = (event) => {
      const box = pad.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      if (state.example) strokes.length = 0;
      state.example = false;
      strokes.push([point(event)]);
      event.preventDefault();
    });
    pad.addEventListener("pointermove", (event) => {
      if (!pad.hasPointerCapture(event.pointerId)) return;
      strokes.at(-1).push(point(event));
      state.drawn = levels_of(strokes);
      show_pad();
      changed();
    });
    const show_example = (digit) => {
      const rows = engine.rows_of(data, [digit], "test");
      state.turn = ((state.turn ?? -1) + 1) % rows.length; // another one each time
      strokes.length = 0;
      state.example = true;
      state.drawn = data.levels.slice(rows[state.turn] * PIXELS, (rows[state.turn] + 1) * PIXELS);
      show_pad();
      changed();
    };

    // -- What the reader does.

    root.addEventListener("click", (event) => {
      const target = event.target.closest("button");
      if (!target || !root.contains(target)) return;
      const { method, step, tab, drop, example, order, tile, jump } = target.dataset;
      if (method) set(with_method(method));
      if (step) go(step);
      if (tab) choose_panel(tab);
      if (drop) { state.kept.splice(+drop, 1); show_kept(); changed(); }
      if (example) show_example(+example);
      if (order) set({ class_order: order === "natural" ? [...NATURAL] : Array.from(engine.permutation(10, Math.random)) });
      if (tile) {
        if (state.tile === null || state.tile === undefined) { state.tile = +tile; show_tiles(); } else swap(state.tile, +tile);
      }
      if (jump) step_stage(+jump);
      if (target.matches(".lab-train")) state.phase === "running" ? pause() : go(state.phase === "held" ? state.until : "end");
      if (target.matches(".lab-restart")) restart();
      if (target.matches(".lab-keep")) { state.kept.push(state.run); show_kept(); say(`Kept: ${state.run.title}.`); changed(); }
      if (target.matches(".lab-seeds")) five_seeds();
      if (target.matches(".lab-clear")) { strokes.length = 0; state.drawn = null; show_pad(); changed(); }
      if (target.matches(".lab-link")) copy(location.href.split("#")[0] + `#${to_address(state.settings)}`, "The link is copied: it holds all settings.");
      if (target.matches(".lab-copy")) copy($(".lab-python").textContent, "The Python lines are copied.");
      if (target.matches(".lab-defaults")) set({ ...DEFAULTS });
    });
    const copy = (words, done) => {
      const failed = () => say("The browser does not let this page copy; the address bar holds the same link.");
      navigator.clipboard ? navigator.clipboard.writeText(words).then(() => say(done), failed) : failed();
    };
    const step_stage = (direction) => {
      const list = state.run?.snapshots ?? [], at = state.at ?? list.length - 1;
      const ends = list.map((s, i) => s.kind === "stage" ? i : -1).filter((i) => i >= 0);
      const next = direction < 0 ? ends.findLast((i) => i < at) : ends.find((i) => i > at);
      if (next !== undefined) { state.at = next; changed(); }
    };
    root.addEventListener("input", (event) => {
      const { key, special, flag } = event.target.dataset, control = NUMBERS.find((c) => c.key === key);
      if (control) set({ [key]: control.stops[event.target.value] });
      else if (key) set({ [key]: CHOICES.find((c) => c.key === key).values.find((v) => String(v) === event.target.value) });
      if (special) set({ [special]: event.target.checked ? { kd_weight: "dynamic", gamma: "wa" }[special] : { kd_weight: DEFAULTS.kd_weight, gamma: 1 }[special] });
      if (flag) set({ [flag]: event.target.checked });
      if (event.target.matches(".lab-hold")) state.hold = event.target.checked;
      if (event.target.matches(".lab-guess input")) {
        state.guess = +event.target.value;
        state.guessed = true;
        $(".lab-guess output").textContent = `${state.guess} %`;
        changed();
      }
      if (event.target.matches(".lab-time input")) {
        state.at = +event.target.value;
        if (state.at === state.run.snapshots.length - 1) state.at = null;
        changed();
      }
    });
    root.addEventListener("keydown", (event) => {
      const turn = { ArrowLeft: -1, ArrowRight: 1 }[event.key], tab = event.target.closest("[role=tab]"), tile = event.target.closest("[data-tile]");
      if (!turn || !(tab || tile)) return;
      event.preventDefault();
      if (tab) {
        const tabs = [...root.querySelectorAll("[role=tab]")], next = tabs[(tabs.indexOf(tab) + turn + tabs.length) % tabs.length];
        choose_panel(next.dataset.tab);
        next.focus();
      } else {
        const from = +tile.dataset.tile, to = Math.max(0, Math.min(9, from + turn));
        moved(from, to);
        root.querySelector(`[data-tile="${to}"]`).focus();
      }
    });
    let dragged = null;
    root.addEventListener("dragstart", (event) => { dragged = event.target.closest?.("[data-tile]")?.dataset.tile ?? null; });
    root.addEventListener("dragover", (event) => { if (dragged !== null && event.target.closest("[data-tile]")) event.preventDefault(); });
    root.addEventListener("drop", (event) => {
      const onto = event.target.closest("[data-tile]");
      if (dragged === null || !onto) return;
      event.preventDefault();
      moved(+dragged, +onto.dataset.tile);
      dragged = null;
    });

    // -- The address: at the start, and when a link of this page changes it.

    const is_heading = (words) => document.getElementById(words) !== null;
    const read_address = () => {
      const words = location.hash.slice(1), { settings, wrong } = from_address(is_heading(words) ? "" : words);
      $(".lab-wrong").textContent = wrong.length ? `${wrong.join(" ")} There the page's own setting is used.` : "";
      state.settings = settings;
      show_settings();
      changed();
    };
    addEventListener("hashchange", () => {
      const words = location.hash.slice(1);
      if (words !== to_address(state.settings) && !is_heading(words)) read_address();
    });
    new MutationObserver(() => { thumbnails(); show_pad(); changed(); }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });

    build();
    read_address();
    root.dataset.mode = teach.mode;
    $(".lab-all").hidden = false;
    $(".lab-expect").open = false;
    const quietly = async (options = {}) => run_quietly(asked_for(options));
    window.cilkitLab ??= { run: quietly, engine, data, from_address, to_address, in_python, shown: () => to_address(state.settings) };
    draw();
  };

  for (const root of document.querySelectorAll(".cil-lab:not([data-awake])")) {
    root.dataset.awake = "yes";
    awaken(root);
  }
})();
