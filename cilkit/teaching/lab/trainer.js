// What stands between the engine and a page: it trains in slices, so that messages get their turn.
// The same code runs in a worker and, where a page may have none, on the page's own thread.
//
// In:  {ask: "data", digits}, {ask: "learn", id, settings, quiet}, {ask: "go", until, hold}, {ask: "pause"}
// Out: what the engine tells, with the id, and {kind: "now" | "held" | "paused" | "done" | "failed"}
const CilkitTrainer = (engine, post, slice) => {
  "use strict";
  let data, learning, id, quiet, until, hold, running = false;
  const turns = new MessageChannel(); // a timeout would wait four milliseconds
  let queued = false;
  const later = () => { if (!queued) turns.port2.postMessage(0); queued = true; };

  const snapshot = (event) => {
    const { network, memory, ...facts } = event;
    const used = engine.HEAD + network.n_classes * engine.FEATURES;
    return { ...facts, id, weights: network.weights.slice(0, used), norms: engine.lengths(network.head, network.n_classes) };
  };

  // Tell the page; true if it wanted to get no further than this.
  const told = (event, settings) => {
    if (event.kind === "batch") return until === "batch";
    if (quiet) {
      if (event.kind === "stage") post({ id, kind: "stage", accuracy: event.accuracy, before: event.before, gamma: event.gamma, norms: event.norms });
      return false;
    }
    if (event.kind === "epoch" || event.kind === "start") Object.assign(event, engine.evaluate(event.network, data, settings.class_order));
    if (event.kind === "stage") post({ ...snapshot(event), memory: event.memory });
    else post(snapshot(event));
    if (event.kind === "trained" && event.aligned && hold) {
      post({ id, kind: "held" });
      return true;
    }
    return until === event.kind || (until === "batch" && event.kind === "epoch");
  };

  const work = () => {
    const end = performance.now() + slice;
    let now = null;
    while (running && performance.now() < end) {
      let next;
      try { next = learning.learn.next(); } catch (error) {
        running = false;
        return post({ id, kind: "failed", message: error.message });
      }
      if (next.done) {
        running = false;
        return post({ id, kind: "done" });
      }
      now = next.value;
      if (told(now, learning.settings)) running = false;
    }
    if (now?.kind === "batch" && !quiet) post({ id, kind: "now", stage: now.stage, epoch: now.epoch, step: now.step, norms: engine.lengths(now.network.head, now.n_seen) });
    if (running) later();
    else post({ id, kind: "paused" });
  };
  turns.port1.onmessage = () => { queued = false; if (running) work(); };

  return (message) => {
    if (message.ask === "data") data = engine.unpack(message.digits.images, message.digits.labels, message.digits.train);
    if (message.ask === "learn") {
      ({ id, quiet } = message);
      const settings = { ...engine.DEFAULTS, ...message.settings };
      learning = { settings, learn: engine.learn(data, settings) };
      [running, until, hold] = [quiet, "end", false];
    }
    if (message.ask === "go") [running, until, hold] = [true, message.until, message.hold];
    if (message.ask === "pause") {
      running = false;
      post({ id, kind: "paused" });
    }
    if (running) later();
  };
};
