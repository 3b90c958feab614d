// Sequences: the field for a model of symbols or numbers, and its answer, in the place of the facing pages.

import { keep, recall } from "./session.js";

/**
 * `views` has for each kind of sequence, as /v1/models calls it, how it is sent and shown (`Lines`,
 * `Vectors`): what a model reads and what it writes may differ. `ask(body, signal)` fetches an answer; `onInput` is called when something else is typed.
 */
export class Sequences {
  constructor({ spread, field, name, count, clear, copy, output, spoken, timing, views, ask, onInput }) {
    Object.assign(this, { spread, field, name, count, clear, copy, output, spoken, timing, views, ask });
    this.model = null;
    const typed = () => {
      this.#measure();
      onInput(this.field.value);
    };
    field.addEventListener("input", ({ isComposing }) => {
      if (!isComposing) typed();
    });
    field.addEventListener("compositionend", typed);
    clear.addEventListener("click", () => {
      field.value = "";
      typed();
      field.focus();
    });
  }

  /** Whether the chosen model reads sequences. */
  get on() {
    return !this.spread.hidden;
  }

  get blank() {
    return !this.field.value.trim();
  }

  /** How what the model reads is sent. */
  get reader() {
    return this.views[this.model.source_kind];
  }

  /** How what it writes is shown. */
  get writer() {
    return this.views[this.model.target_kind];
  }

  /** What Copy copies. */
  get copied() {
    return this.writer.copied;
  }

  /** Show the field for `model`, with what was kept for its kind, or hide it for a model of text. */
  adopt(model) {
    this.forget();
    this.model = model.task === "transduce" ? model : null;
    this.spread.hidden = !this.model;
    if (!this.model) return;
    this.spread.dataset.kind = model.source_kind;
    this.name.textContent = this.reader.name;
    this.field.placeholder = this.reader.placeholder;
    this.field.value = recall(model.source_kind) ?? "";
    this.writer.clear();
    this.#measure();
  }

  /** Ask for the answer to what is there, and show it. */
  async answer(signal) {
    const sent = this.reader.request(this.field.value, this.model);
    const body = { model: this.model.name, ...sent, ...this.writer.wanted };
    const { results } = await this.ask(body, signal);
    signal.throwIfAborted(); // it may be the answer of another model by now
    this.stale(false);
    this.spoken.textContent = this.writer.show(results[0], body);
    this.copy.hidden = false;
  }

  /** Remove the answer. */
  forget() {
    if (this.model) this.writer.clear();
    this.stale(false);
    this.copy.hidden = true;
    for (const each of [this.spoken, this.timing]) each.textContent = "";
  }

  /** Mark the answer as outdated, or as current again. */
  stale(is) {
    for (const each of this.output) each.classList.toggle("stale", is);
    if (is) this.timing.textContent = "";
  }

  #measure() {
    const { value } = this.field;
    keep(this.model.source_kind, value || null);
    this.clear.hidden = !value;
    this.count.textContent = value ? this.reader.count(value, this.model) : "";
  }
}
