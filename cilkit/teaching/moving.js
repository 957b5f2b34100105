(() => {
  // Every figure of the page that nobody has woken yet: no ids are needed.
  for (const figure of document.querySelectorAll("figure.cil-moving:not([data-awake])")) {
    figure.dataset.awake = "yes";
    const frames = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const [picture, slider, says, play] = [".cil-frame", "input", "output", ".cil-play"].map((s) => figure.querySelector(s));
    let timer = null;
    const show = () => {
      const [at, text, marks] = frames[slider.value];
      picture.innerHTML = marks;
      says.textContent = `${at}: ${text}`;
      slider.setAttribute("aria-valuetext", says.textContent); // read aloud as it moves
    };
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
    const step = () => {
      if (+slider.value >= frames.length - 1) return stop();
      slider.value = +slider.value + 1;
      show();
    };
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (+slider.value >= frames.length - 1) slider.value = 0;
      show();
      play.textContent = "Pause";
      timer = setInterval(step, Math.max(60, Math.min(700, 8000 / frames.length)));
    });
    slider.addEventListener("input", () => { stop(); show(); });
    // A reader begins at the first frame; paper shows the one to print, until the reader chooses another.
    const printed = slider.value, to = (frame) => { slider.value = frame; show(); };
    addEventListener("beforeprint", () => { if (slider.value === "0") to(printed); });
    addEventListener("afterprint", () => { if (slider.value === printed) to(0); });
    to(0);
  }
})();
