// Choices: which model translates, and how it searches.

const names = new Intl.DisplayNames("en", { type: "language", fallback: "none" });

/** The name of the language of a BCP 47 tag, German of "de"; a tag without a name stays as it is. */
export function language(tag) {
  if (!tag) return null;
  try {
    return names.of(tag) ?? tag;
  } catch {
    return tag; // with a private part, as in x-ours
  }
}

/** The list of models. `onChange` is called when another one is chosen. */
export class Models {
  constructor({ select, facts, card, onChange }) {
    Object.assign(this, { select, facts, card, models: [] });
    select.addEventListener("change", () => {
      this.#describe();
      onChange();
    });
  }

  /** The chosen model, or null. */
  get chosen() {
    return this.models[this.select.selectedIndex] ?? null;
  }

  /** Show `models`, and keep the choice if it is still there. */
  show(models) {
    const before = this.chosen?.name;
    this.models = models;
    const options = models.map((model) => new Option(this.#title(model), model.name));
    this.select.replaceChildren(...(options.length ? options : [new Option("No model yet")]));
    this.select.disabled = models.length < 2;
    const place = models.findIndex(({ name }) => name === before);
    this.select.selectedIndex = Math.max(place, 0);
    this.#describe();
  }

  #title(model) {
    const title = pair(model);
    const alike = this.models.filter((other) => pair(other) === title);
    return alike.length > 1 ? `${title} (${model.name})` : title;
  }

  #describe() {
    const model = this.chosen;
    if (!model) return;
    const at = model.loaded_at; // seconds, or a date
    const loaded = new Date(typeof at === "number" ? at * 1000 : at);
    const facts = {
      Name: model.name,
      Task: model.task,
      Languages: languages(model),
      Digest: model.digest,
      Loaded: Number.isNaN(loaded.valueOf()) ? null : loaded.toLocaleString(),
    };
    this.facts.replaceChildren(
      ...Object.entries(facts).flatMap(([name, value]) => (value ? fact(name, value) : [])),
    );
    const text = model.card ?? "";
    this.card.textContent = typeof text === "string" ? text : JSON.stringify(text, null, 2);
    this.card.hidden = !this.card.textContent;
  }
}

/** "German \u2192 English", or "German" where both are; null where one is not known. */
function languages({ source, target }) {
  if (!source || !target) return null;
  return source === target ? language(source) : `${language(source)} \u2192 ${language(target)}`;
}

/** The label of a model: its languages, or without them the title of its card. */
function pair(model) {
  const { name, task, card } = model;
  const between = languages(model);
  if (task === "summarize") return between ? `Summary, ${between}` : `Summary (${name})`;
  return between ?? /^# (.+)/.exec(card)?.[1] ?? name;
}

function fact(name, value) {
  const term = document.createElement("dt");
  term.textContent = name;
  const data = document.createElement("dd");
  data.textContent = value;
  return [term, data];
}

/**
 * Beam, number of translations, length penalty, and whether sentences are cut. `onChange` is called
 * when one is changed.
 */
export class Options {
  constructor({ beam, nBest, alpha, sentences, sentencesField, reset, onChange }) {
    Object.assign(this, { beam, nBest, alpha, sentences, sentencesField });
    this.defaults = {};
    for (const input of [beam, nBest, alpha]) {
      input.addEventListener("input", () => {
        this.#agree(input);
        onChange();
      });
    }
    sentences.addEventListener("change", onChange);
    reset.addEventListener("click", () => {
      this.#reset();
      onChange();
    });
  }

  /** Adopt the defaults of a model. A summarizer reads texts whole and cuts no sentences. */
  adopt({ options, task }) {
    this.defaults = options ?? {};
    this.sentencesField.hidden = task === "summarize";
    this.#reset();
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
