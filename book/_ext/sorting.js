// The table above the script: each heading becomes a button that sorts the rows. Where no script
// runs, it stays a table.
{
  const script = document.currentScript;
  const above = (table) => script.compareDocumentPosition(table) & Node.DOCUMENT_POSITION_PRECEDING;
  const table = [...document.querySelectorAll("table")].filter(above).pop();
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];

  const value_of = (row, column) => {
    const words = row.cells[column].textContent.trim();
    return Number.isNaN(parseFloat(words)) ? words : parseFloat(words);
  };
  const compare = (one, other) => (typeof one === "number" ? one - other : one.localeCompare(other));
  const order = (column) => {
    const values = [...body.rows].map((row) => value_of(row, column));
    const falls = (sign) => values.every((value, i) => i === 0 || sign * compare(values[i - 1], value) <= 0);
    return falls(-1) ? "descending" : falls(1) ? "ascending" : "";
  };
  const say = (column, direction) => heads.forEach((head, i) => {
    if (i === column) head.setAttribute("aria-sort", direction);
    else head.removeAttribute("aria-sort");
  });

  // Words from the first letter on; numbers from the highest down, and at the second press up.
  const sort = (column) => {
    const words = typeof value_of(body.rows[0], column) === "string";
    const first = words ? "ascending" : "descending", second = words ? "descending" : "ascending";
    const direction = heads[column].getAttribute("aria-sort") === first ? second : first;
    const sign = direction === "ascending" ? 1 : -1;
    body.append(...[...body.rows].sort((one, other) => sign * compare(value_of(one, column), value_of(other, column))));
    say(column, direction);
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sorts";
    button.textContent = head.textContent.trim();
    button.addEventListener("click", () => sort(column));
    head.replaceChildren(button);
  });
  table.classList.add("sortable");
  const sorted = heads.findIndex((_, column) => order(column));
  if (sorted >= 0) say(sorted, order(sorted));
}
