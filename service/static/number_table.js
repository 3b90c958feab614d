// The table of numbers: a row for each step of a sequence, a column for each of its numbers.

import { shownNumber } from "./plot.js";

const MOST_CELLS = 20_000; // beyond that the table ends, to stay quick

/** Fills `table`, below a caption that says what it is of. */
export class NumberTable {
  constructor(table) {
    this.table = table;
  }

  /** Show `columns`, each { name, values }. Returns how many steps have a row, if not all. */
  show(columns) {
    const steps = columns[0]?.values.length ?? 0;
    const rows = Math.min(steps, Math.max(1, Math.floor(MOST_CELLS / columns.length)));
    const head = document.createElement("thead");
    head.insertRow().append(...["Step", ...columns.map(({ name }) => name)].map(heading("col")));
    const body = document.createElement("tbody");
    for (let step = 0; step < rows; step++) {
      const row = body.insertRow();
      row.append(heading("row")((step + 1).toLocaleString("en")));
      for (const { values } of columns) row.insertCell().textContent = shownNumber(values[step]);
    }
    this.table.tHead?.remove();
    for (const each of [...this.table.tBodies]) each.remove();
    this.table.append(head, body);
    return rows < steps ? rows : null;
  }

  clear() {
    this.table.tHead?.remove();
    for (const each of [...this.table.tBodies]) each.remove();
  }
}

function heading(scope) {
  return (text) => {
    const cell = document.createElement("th");
    cell.scope = scope;
    cell.textContent = text;
    return cell;
  };
}
