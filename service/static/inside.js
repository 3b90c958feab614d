// Inside: gates and states of each layer while a sentence is translated, units over its pieces.

import { labels, labelled } from "./heatmap.js";

const PAUSE_MS = 150; // a cursor that passes over sentences asks for none of them
const SIGNED = ["candidate", "cell", "hidden"]; // all others are between 0 and 1

/**
 * `ask(sentence, signal)` fetches a trace; `explain(error)` says what an error means. The choosers
 * are a list of layers and one of values.
 */
export class Inside {
  constructor({ empty, body, layers, values, note, table, ask, explain }) {
    Object.assign(this, { empty, body, layers, values, note, table, ask, explain });
    layers.addEventListener("change", () => this.#draw());
    values.addEventListener("change", () => this.#draw());
  }

  /** Show nothing but `reason`, and cancel the request. */
  clear(reason) {
    this.forget();
    this.#say(reason);
  }

  /** Ask anew the next time, because it would be another answer, and cancel the request. */
  forget() {
    this.#stop();
    this.sentence = null;
    this.body.classList.add("stale");
  }

  /** Show the trace of `sentence`, which is asked for unless it is there. */
  want(sentence) {
    if (sentence === this.sentence) return;
    this.#stop();
    this.sentence = sentence;
    this.body.classList.add("stale");
    this.timer = setTimeout(() => this.#fetch(sentence), PAUSE_MS);
  }

  async #fetch(sentence) {
    const controller = new AbortController();
    this.running = controller;
    try {
      this.trace = await this.ask(sentence, controller.signal);
      if (controller.signal.aborted) return;
      this.#offer();
      this.#draw();
    } catch (error) {
      if (controller.signal.aborted) return;
      this.sentence = null; // so that it can be asked for again
      this.#say(this.explain(error));
    }
  }

  /** Fill the choosers, and keep what is chosen where it is there. */
  #offer() {
    const names = this.trace.layers.map(
      ({ part, layer, direction }) => `${part} ${layer}${part === "encoder" ? `, ${direction}` : ""}`,
    );
    fill(this.layers, names);
    fill(this.values, Object.keys(this.trace.layers[0].values), "forget", "reset", "hidden");
  }

  #draw() {
    const layer = this.trace.layers[this.layers.selectedIndex];
    const name = this.values.value;
    const rows = layer.values[name];
    const pieces = layer.part === "encoder" ? this.trace.source_pieces : this.trace.target_pieces;
    const signed = SIGNED.includes(name);
    const most = signed ? Math.max(...rows.flat().map(Math.abs)) || 1 : 1;
    const units = rows[0].length;
    this.note.textContent =
      `As it writes \u201c${this.trace.translation}\u201d. A row for each of ${units === layer.units ? "its" : `the first ${units} of`} ${layer.units} ` +
      `units, a column for each piece; each step reads ${layer.inputs} numbers and the state before. ` +
      (signed
        ? `Between \u2212${most.toFixed(2)} and ${most.toFixed(2)}; ochre is below 0, pale is near 0.`
        : "Between 0, pale, and 1.") +
      (layer.direction === "backward" ? " It reads from the right." : "");
    const head = document.createElement("thead");
    const names = labels(pieces.slice(0, -1), pieces.length);
    head.insertRow().append(document.createElement("td"), ...names.map((each) => labelled(each, "col")));
    const body = document.createElement("tbody");
    for (let unit = 0; unit < units; unit++) {
      const row = body.insertRow();
      row.append(labelled({ text: String(unit + 1) }, "row"));
      for (const [step, values] of rows.entries()) row.append(cell(values[unit], most, names[step]));
    }
    this.table.replaceChildren(head, body);
    this.body.classList.remove("stale");
    this.empty.hidden = true;
    this.body.hidden = false;
  }

  #say(reason) {
    this.empty.textContent = reason;
    this.empty.hidden = false;
    this.body.hidden = true;
  }

  #stop() {
    clearTimeout(this.timer);
    this.running?.abort();
  }
}

function cell(value, most, { text }) {
  const made = document.createElement("td");
  made.style.setProperty("--weight", Math.min(Math.abs(value) / most, 1).toFixed(3));
  made.classList.toggle("negative", value < 0);
  made.title = `${text}: ${value.toFixed(3).replace("-", "\u2212")}`;
  made.setAttribute("aria-label", value.toFixed(2));
  return made;
}

/** Offer `names`; chosen is what was, or else the first of `preferred` that is there. */
function fill(select, names, ...preferred) {
  const before = select.value;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  select.value = [before, ...preferred, names[0]].find((name) => names.includes(name));
}
