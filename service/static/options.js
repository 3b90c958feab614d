// Options: how the model searches.

/**
 * Beam, number of translations, length penalty, and whether sentences are cut. `onChange` is called
 * when one is changed, with what is to be kept of them: null after a reset.
 */
export class Options {
  constructor({ beam, nBest, alpha, sentences, sentencesField, reset, onChange }) {
    Object.assign(this, { beam, nBest, alpha, sentences, sentencesField });
    this.defaults = {};
    for (const input of [beam, nBest, alpha]) {
      input.addEventListener("input", () => {
        this.#agree(input);
        onChange(this.#state);
      });
    }
    sentences.addEventListener("change", () => onChange(this.#state));
    reset.addEventListener("click", () => {
      this.#reset();
      onChange(null);
    });
  }

  /**
   * Adopt the defaults of a model, and over them what was `kept` of this model's options. A
   * summarizer reads texts whole and cuts no sentences, and sequences have none.
   */
  adopt({ name, options, task }, kept) {
    this.name = name;
    this.defaults = options;
    this.sentencesField.hidden = task !== "translate";
    this.#reset();
    if (kept?.name !== name) return;
    for (const key of ["beam", "nBest", "alpha", "sentences"]) this[key].value = kept[key];
    this.#agree(this.beam);
  }

  get #state() {
    const { name, beam, nBest, alpha, sentences } = this;
    return {
      name,
      beam: beam.value,
      nBest: nBest.value,
      alpha: alpha.value,
      sentences: sentences.value,
    };
  }

  /** The model's own number, but at least a few alternatives. */
  #reset() {
    const { beam_size: beam = 5, n_best: nBest = 1, alpha = 1, length_penalty } = this.defaults;
    this.beam.value = beam;
    this.nBest.value = Math.min(Math.max(nBest, 3), this.beam.value);
    this.alpha.value = alpha;
    this.alpha.disabled = length_penalty === "none";
    this.sentences.value = this.#ownSentences;
    this.#agree(this.beam);
  }

  get #ownSentences() {
    return this.defaults.split_sentences ?? "auto";
  }

  /** The options of a request. */
  get values() {
    const { beam, nBest, alpha } = this;
    const values = { beam_size: Number(beam.value), n_best: Number(nBest.value) };
    if (!alpha.disabled) values.alpha = Number(alpha.value);
    if (!this.sentencesField.hidden && this.sentences.value !== this.#ownSentences) {
      values.split_sentences = this.sentences.value;
    }
    return values;
  }

  /** Keep n_best at most as large as the beam, by adjusting the control that was not changed. */
  #agree(touched) {
    if (Number(this.nBest.value) > Number(this.beam.value)) {
      if (touched === this.nBest) this.beam.value = this.nBest.value;
      else this.nBest.value = this.beam.value;
    }
    for (const input of [this.beam, this.nBest, this.alpha]) {
      const value = Number(input.value);
      const range = Number(input.max) - Number(input.min);
      input.style.setProperty("--filled", `${((value - input.min) / range) * 100}%`);
      input.labels[0].parentElement.querySelector("output").value = input.value;
    }
  }
}
