// A figure that computes in the page: data in, a state that lies in its controls, a drawing, words.
// `make(data, formulas)` returns `draw(state)`, whose answer is {marks, says}, and perhaps {texts,
// looks, most}: words and looks of other parts, and the highest value of a slider. There may be more:
// `move` returns what changes in the state when a handle is dragged, `press` which handle is meant and
// what changes at once, `act` what changes by a button, `keys` by a key, or nothing if it is not one of
// its own. cilkit/teaching/alive.py is the other half: there the package's functions draw the same.
const cilkitAlive = (script, make) => {
  const parts_of = (figure) => [...figure.querySelectorAll("[data-key]")];

  const value_of = (input) => {
    if (input.type === "checkbox") return input.checked;
    if (input.tagName === "SELECT" || input.type === "text") return input.value;
    const value = Math.min(+input.max, Math.max(+input.min, +input.value || 0));
    return "power" in input.dataset ? 2 ** value : input.step === "1" ? Math.round(value) : value;
  };

  const state_of = (inputs) => {
    const state = {};
    for (const input of inputs) {
      if (input.type !== "radio") state[input.dataset.key] = value_of(input);
      else if (input.checked) state[input.dataset.key] = +input.value;
    }
    return state;
  };

  const unpacked = (data) => {
    for (const [key, packed] of Object.entries(data)) {
      if (!packed?.bytes) continue;
      const bytes = Uint8Array.from(atob(packed.bytes), (letter) => letter.charCodeAt(0));
      const levels = packed.wide ? new Int16Array(bytes.buffer) : new Int8Array(bytes.buffer);
      data[key] = Float64Array.from(levels, (level) => level * packed.scale);
    }
    return data;
  };

  const awaken = (figure) => {
    const $ = (selector) => figure.querySelector(selector), inputs = parts_of(figure);
    const data = unpacked(JSON.parse($('script[type="application/json"]').textContent));
    const { draw, move, press = (handle) => ({ handle }), act, keys } = make(data, CilkitFormulas());
    const frames = [...figure.querySelectorAll(".cil-frame")];
    let settled = 0;

    const show = () => {
      const state = state_of(inputs), { marks, says, texts = {}, looks = {}, most = {} } = draw(state);
      marks.forEach((picture, i) => { frames[i].innerHTML = picture; });
      $(".cil-says").textContent = says;
      for (const [key, words] of Object.entries(texts)) $(`[data-text="${key}"]`).textContent = words;
      for (const [key, look] of Object.entries(looks)) $(`[data-key="${key}"]`).dataset.look = look;
      for (const [key, value] of Object.entries(most)) $(`[data-key="${key}"]`).max = value;
      for (const input of inputs) {
        if (input.type !== "range") continue;
        const words = state[input.dataset.key].toFixed(input.dataset.digits);
        input.nextElementSibling.textContent = words;
        input.setAttribute("aria-valuetext", words);
      }
    };

    // What is heard waits until nothing has moved for a while.
    const changed = () => {
      show();
      clearTimeout(settled);
      settled = setTimeout(() => { $(".cil-heard").textContent = $(".cil-says").textContent; }, 800);
    };

    const change = (values) => {
      for (const [key, value] of Object.entries(values)) $(`[data-key="${key}"]`).value = value;
      changed();
    };
    const place_of = (event, svg) => {
      const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
      return [(event.clientX - box.left) / box.width * view.width, (event.clientY - box.top) / box.height * view.height];
    };
    for (const svg of move ? figure.querySelectorAll("svg") : []) {
      let held = null;
      svg.addEventListener("pointerdown", (event) => {
        if (event.target.dataset.handle === undefined) return;
        const { handle, ...values } = press(event.target.dataset.handle, place_of(event, svg), state_of(inputs));
        held = handle;
        svg.setPointerCapture(event.pointerId);
        event.preventDefault();
        change(values);
      });
      svg.addEventListener("pointermove", (event) => { if (held !== null) change(move(held, place_of(event, svg), state_of(inputs))); });
      for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { held = null; });
    }
    for (const svg of keys ? figure.querySelectorAll("svg") : []) {
      svg.addEventListener("keydown", (event) => {
        const values = keys(event.key, state_of(inputs));
        if (!values) return;
        event.preventDefault();
        change(values);
      });
    }
    for (const button of figure.querySelectorAll("[data-act]")) {
      button.addEventListener("click", () => change(act(button.dataset.act, state_of(inputs))));
    }

    const form = $("form");
    form.addEventListener("input", changed);
    form.addEventListener("submit", (event) => event.preventDefault());
    $(".cil-reset").addEventListener("click", () => { form.reset(); changed(); });
    for (const part of figure.querySelectorAll("fieldset")) part.disabled = false;
    figure.dataset.awake = "yes";
    form.reset(); // what a browser remembers of an earlier visit is not where the text begins
    show();
  };

  for (const figure of document.querySelectorAll(`figure.cil-alive[data-script="${script}"]:not([data-awake])`)) awaken(figure);
};

// The marks of cilkit/teaching/svg.py, with the same names.
const cilkitSvg = (() => {
  const short = (x) => String(+x.toPrecision(6));
  const escaped = (words) => String(words).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
  const text = (x, y, words, anchor = "start", more = "") => `<text x="${short(x)}" y="${short(y)}" text-anchor="${anchor}"${more}>${escaped(words)}</text>`;
  const rect = (x, y, width, height, name = "", more = "") => `<rect class="${name}" x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${short(height)}"${more}/>`;

  const plot = ({ x, y, width = 640, height = 320, left = 52, bottom = 44, top = 28, right = 14 }) => {
    const at = (px, py) => [
      left + (px - x[0]) / (x[1] - x[0]) * (width - left - right),
      height - bottom - (py - y[0]) / (y[1] - y[0]) * (height - bottom - top),
    ].map((place) => Math.round(10 * place) / 10);
    const bars = (values, classes, wide = 0.8) => {
      const paths = {};
      values.forEach((value, i) => {
        const [start, foot] = at(i - wide / 2, Math.max(0, y[0])), [end, head] = at(i + wide / 2, value);
        paths[classes[i]] = `${paths[classes[i]] ?? ""}M${short(start)} ${short(foot)}V${short(head)}H${short(end)}V${short(foot)}z`;
      });
      return Object.entries(paths).map(([name, path]) => `<path class="${name}" d="${path}"/>`).join("");
    };
    const line = (xs, ys, name = "") => `<polyline class="line ${name}" points="${xs.map((px, i) => at(px, ys[i]).join(",")).join(" ")}"/>`;
    const dots = (xs, ys, name = "", radius = 4) => xs.map((px, i) => {
      const [cx, cy] = at(px, ys[i]);
      return `<circle class="${name}" cx="${cx}" cy="${cy}" r="${radius}"/>`;
    }).join("");
    const words = (px, py, said, anchor = "start") => text(...at(px, py), said, anchor);
    return { at, bars, line, dots, words };
  };
  return { text, rect, plot, escaped, short };
})();
