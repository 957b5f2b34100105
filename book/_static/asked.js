// A question that the page checks. In the text it is a list of answers, each with what is to be said of
// it: a `<details>` for each, which is all that paper and a page without scripts need. Here the reader
// answers first, and is told then.
// Choices have letters, "A. ...": they become a group of radio buttons.
// In a `<div class="asked">` are numbers and formulas: what is written is told that of the nearest one;
// of the last, whose summary is no formula, where none is near. "m·d" and "d*m" are one answer:
// formulas are compared by their values.
(() => {
  const WORDS = document.documentElement.lang.startsWith("zh") ? {
    label: "你的答案", check: "检查", all: "全部答案",
    unread: "这里要填一个数，例如 0.4 或 2/5；问公式时，也可以是 n/(n+m) 这样的公式，乘号写作 *。",
  } : {
    label: "Your answer", check: "Check", all: "All answers",
    unread: "Write a number, such as 0.4 or 2/5; where a formula is asked, one such as n/(n+m), with * for products.",
  };
  const NEAR = 0.01; // what rounding may change
  const TRIALS = [0, 1, 2]; // values for the letters

  const plain = (text) => text.replace(/²/g, "^2").normalize("NFKC").replace(/\s|%/g, "")
    .replace(/[−–]/g, "-").replace(/[×·⋅∙]/g, "*").replace(/[÷⁄]/g, "/").replace(/(\d),(?=\d)/g, "$1.")
    .replace(/^.*=/, "").replace(/([\d)])(?=[a-zα-ω(])/gi, "$1*").replace(/([a-zα-ω])(?=\()/gi, "$1*");

  // The value of a sum of products of powers; NaN for what is none.
  const value_of = (text, trial) => {
    const tokens = text.match(/\d*\.?\d+|./g) ?? [];
    const next = (...wanted) => (wanted.includes(tokens[0]) ? tokens.shift() : null);
    const sum = () => {
      let total = product();
      for (let sign; (sign = next("+", "-"));) total += sign === "+" ? product() : -product();
      return total;
    };
    const product = () => {
      let total = power();
      for (let sign; (sign = next("*", "/"));) total = sign === "*" ? total * power() : total / power();
      return total;
    };
    const power = () => {
      if (next("-")) return -power();
      const base = atom();
      return next("^") ? base ** power() : base;
    };
    const atom = () => {
      if (next("(")) {
        const inside = sum();
        return next(")") ? inside : NaN;
      }
      const token = tokens.shift() ?? "";
      if (/^[a-zα-ω]$/i.test(token)) return 1.5 + ((token.toLowerCase().codePointAt(0) * (2 * trial + 3)) % 17) / 5;
      return /\d/.test(token) ? +token : NaN;
    };
    const total = sum();
    return tokens.length ? NaN : total;
  };
  const values_of = (text) => TRIALS.map((trial) => value_of(plain(text), trial));
  const apart = (one, other) => Math.max(...one.map((value, i) => Math.abs(value - other[i]) / Math.max(Math.abs(other[i]), 1e-9)));

  const said_of = (answers, text) => {
    const given = values_of(text);
    if (!given.every(Number.isFinite)) return WORDS.unread;
    const known = answers.filter(({ values }) => values.every(Number.isFinite));
    const far = known.map(({ values }) => apart(given, values)), nearest = far.indexOf(Math.min(...far));
    return far[nearest] <= NEAR ? known[nearest].says : answers.at(-1).says;
  };

  // The choices of a question stand one after the other: they are put into one group.
  const LETTER = /^[A-Z](?=\. )/;
  const letter_of = (part) => part.querySelector("summary")?.textContent.match(LETTER)?.[0];
  const gather = (choice) => {
    let group = choice.previousElementSibling;
    if (!group?.matches(".asked")) {
      group = Object.assign(document.createElement("div"), { className: "asked" });
      choice.before(group);
    }
    group.append(choice);
  };

  const field = `<label>${WORDS.label} <input autocomplete="off" autocapitalize="off" spellcheck="false"></label>`;
  const radios = (answers) => answers.map(({ words, letter }) =>
    `<label><input type="radio" name="choice" value="${letter}" required> <span>${words}</span></label>`).join("");
  const told = (answers, form) => {
    const { letter, says } = answers.find((one) => one.letter === form.elements.choice.value);
    return `<strong>${letter}.</strong> ${says}`;
  };

  const awaken = (group) => {
    const answers = [...group.querySelectorAll("details")].map((part) => {
      const { innerHTML, textContent, outerHTML } = part.querySelector("summary");
      const says = part.innerHTML.replace(outerHTML, "").trim();
      return { words: innerHTML, letter: letter_of(part), values: values_of(textContent), says };
    });
    const choices = answers.every(({ letter }) => letter);
    const form = document.createElement("form"), all = document.createElement("details");
    form.innerHTML = `${choices ? `<fieldset>${radios(answers)}</fieldset>` : field}
      <button>${WORDS.check}</button><p role="status"></p>`;
    if (choices) form.firstChild.setAttribute("aria-label", group.previousElementSibling.textContent);
    all.innerHTML = `<summary>${WORDS.all}</summary>`;
    all.hidden = choices;
    all.append(...group.childNodes);
    group.append(form, all);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      form.querySelector("p").innerHTML = choices ? told(answers, form) : said_of(answers, form.querySelector("input").value);
      all.hidden = false;
    });
  };
  [...document.querySelectorAll("details")].filter(letter_of).forEach(gather);
  document.querySelectorAll(".asked").forEach(awaken);
})();
