(() => {
  // Asks what the reader expects of the last frame; `begin` is called with the answer given or passed over.
  // Returns what is done at each frame from then on.
  const ask = (guess, begin) => {
    let told = () => {};
    guess.addEventListener("input", ({ target }) => {
      target.nextElementSibling.textContent = `${target.value} %`;
      target.setAttribute("aria-valuetext", `${target.value} %`);
    });
    guess.addEventListener("submit", (event) => {
      event.preventDefault();
      const mine = +guess.querySelector("input").value, over = mine - guess.dataset.answer;
      const off = Math.abs(over).toFixed(1), far = off === "0.0" ? "just that" : `${off} points too ${over < 0 ? "low" : "high"}`;
      const verdict = `You expected ${mine} %: ${far}.`;
      if (event.submitter.value !== "skip") told = (at_end) => { guess.textContent = at_end ? verdict : `You expect ${mine} %.`; };
      guess.replaceChildren();
      guess.setAttribute("role", "status");
      begin();
    });
    return (at_end) => told(at_end);
  };

  const awaken = (figure) => {
    const [picture, says, play, guess] = [".cil-frame", "output", ".cil-play", ".cil-guess"].map((s) => figure.querySelector(s));
    // The last slider moves within a group of frames, the one before it from group to group, if there are groups.
    const sliders = [...figure.querySelectorAll(".cil-controls input")], slider = sliders.at(-1), outer = sliders.at(-2);
    const frames = JSON.parse(figure.querySelector('script[type="application/json"]').textContent), last = frames.length - 1;
    const printed = +slider.value, at = () => +slider.value, buttons = [];
    const starts = [...frames.keys()].filter((k) => k === 0 || (outer && frames[k][3] !== frames[k - 1][3]));
    const end = (group) => (starts[group + 1] ?? frames.length) - 1;
    let timer = null;

    const begin = () => { figure.dataset.awake = "yes"; to(at()); buttons[1][0].focus(); };
    const told = guess ? ask(guess, begin) : () => {};
    const to = (frame, live = "off") => {
      const group = starts.findLastIndex((start) => start <= frame), [place, words, marks] = frames[frame];
      Object.assign(slider, { min: starts[group], max: end(group), value: frame });
      if (outer) Object.assign(outer, { max: starts.length - 1, value: group });
      picture.innerHTML = marks;
      says.setAttribute("aria-live", live); // who moves a slider hears it from there
      says.textContent = `${place}: ${words}`;
      for (const each of sliders) each.setAttribute("aria-valuetext", says.textContent);
      for (const [button, leads] of buttons) button.setAttribute("aria-disabled", !leads(frame));
      told(frame === last);
    };
    const stop = () => { clearInterval(timer); timer = null; if (play) play.textContent = "Play"; };

    slider.addEventListener("input", () => { stop(); to(at()); });
    outer?.addEventListener("input", () => {
      const far = at() - slider.min; // from the start of its group, there as here
      stop();
      to(Math.min(starts[outer.value] + far, end(+outer.value)));
    });

    // A button that leads nowhere now can still be reached: who works with keys does not lose the place.
    const add = (words, name, by, leads) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "cil-step", textContent: words });
      button.setAttribute("aria-label", name);
      button.addEventListener("click", () => { stop(); if (leads(at())) to(at() + by, "polite"); });
      sliders[0].parentElement.before(button);
      buttons.push([button, leads]);
    };
    add("←", "one step back", -1, (frame) => frame > 0);
    add("→", "one step on", 1, (frame) => frame < last);
    for (const name of new Set(frames.map((frame) => frame[4]).filter(Boolean))) add(name, name, 1, (frame) => frames[frame + 1]?.[4] === name);

    // Play waits before a step that has a name, and after it.
    const waits = (frame) => frame >= last || frames[frame][4] || frames[frame + 1][4];
    const step = () => { to(Math.min(at() + 1, last)); if (waits(at())) stop(); };
    play?.addEventListener("click", () => {
      if (timer) return stop();
      if (at() >= last) to(0);
      play.textContent = "Pause";
      timer = setInterval(step, Math.max(60, Math.min(700, 8000 / frames.length)));
    });

    // A reader begins at the first frame; paper shows the one to print, until the reader chooses another.
    addEventListener("beforeprint", () => { if (at() === 0) to(printed); });
    addEventListener("afterprint", () => { if (at() === printed) to(0); });
    figure.dataset.awake = guess ? "asks" : "yes";
    to(0);
  };

  // Every figure of the page that nobody has woken yet: no ids are needed.
  for (const figure of document.querySelectorAll("figure.cil-moving:not([data-awake])")) awaken(figure);
})();
