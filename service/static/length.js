// Length: how long a summary should be, as a share of the words of its text.

import { split } from "./words.js";

const SHARES = [0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8];
const MIDDLE = 6;

/**
 * A slider from shorter to longer, and a box that says whether it counts: without, the model
 * chooses. `onChange` is called when one is changed, with what is to be kept: null if the model
 * chooses.
 */
export class Length {
  constructor({ row, chosen, slider, words, onChange }) {
    Object.assign(this, { row, chosen, slider, words });
    this.count = 0;
    this.defaults = {};
    slider.max = SHARES.length - 1;
    slider.value = MIDDLE;
    const change = () => {
      this.#tell();
      onChange(chosen.checked ? slider.value : null);
    };
    chosen.addEventListener("change", change);
    slider.addEventListener("input", () => {
      chosen.checked = true;
      change();
    });
  }

  /** Show it for a summarizer, with what was `kept`, and hide it for another model. */
  adopt({ task, options }, kept) {
    this.row.hidden = task !== "summarize";
    this.defaults = options;
    this.chosen.checked = kept !== null;
    this.slider.value = kept ?? MIDDLE;
    this.#tell();
  }

  /** Count the words of `text`, which the summary gets a share of. */
  measure(text) {
    if (this.row.hidden) return;
    this.count = split(text).words.length;
    this.#tell();
  }

  /** The options of a request. */
  get values() {
    if (this.row.hidden || !this.chosen.checked) return {};
    const values = { ratio: SHARES[this.slider.value] };
    // Limits of the model's own would be a second wish.
    for (const name of ["min_words", "max_words"]) if (this.defaults[name]) values[name] = 0;
    return values;
  }

  #tell() {
    const { slider, chosen, count } = this;
    slider.style.setProperty("--filled", `${(slider.value / slider.max) * 100}%`);
    this.row.classList.toggle("off", !chosen.checked);
    const share = SHARES[slider.value];
    const words = Math.max(1, Math.ceil(share * count));
    const percent = `${Math.round(share * 100)}\u00a0% of the text`;
    const told = count ? `about ${words.toLocaleString("en")} ${words > 1 ? "words" : "word"}` : percent;
    this.words.value = chosen.checked ? told : "the model chooses";
    slider.setAttribute("aria-valuetext", count ? `${told}, ${percent}` : percent);
  }
}
