// Choices: which model translates, and how it searches.

const names = new Intl.DisplayNames("en", { type: "language", fallback: "none" });

/** "de" is German; what is no code, or none that is known, stays as it is. */
export function language(code) {
  if (!code) return null;
  try {
    return names.of(code) ?? code;
  } catch {
    return code;
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

/** The languages of a model; where it names none, the title of its card. */
function pair({ name, source, target, task, card }) {
  const from = language(source);
  const to = language(target);
  if (task === "summarize") return from ? `Summary, ${from}` : `Summary (${name})`;
  return from && to ? `${from} \u2192 ${to}` : (/^# (.+)/.exec(card)?.[1] ?? name);
}

function fact(name, value) {
  const term = document.createElement("dt");
  term.textContent = name;
  const data = document.createElement("dd");
  data.textContent = value;
  return [term, data];
}

/** Beam, number of translations and length penalty. `onChange` is called when one is changed. */
export class Options {
  constructor({ beam, nBest, alpha, reset, onChange }) {
    Object.assign(this, { beam, nBest, alpha });
    this.defaults = {};
    for (const input of [beam, nBest, alpha]) {
      input.addEventListener("input", () => {
        this.#agree(input);
        onChange();
      });
    }
    reset.addEventListener("click", () => {
      this.adopt(this.defaults);
      onChange();
    });
  }

  /** Take the defaults of a model; a few alternatives are shown unless it says more. */
  adopt(defaults) {
    this.defaults = defaults ?? {};
    const { beam_size: beam = 5, n_best: nBest = 1, alpha = 1, length_penalty } = this.defaults;
    this.beam.value = beam;
    this.nBest.value = Math.min(Math.max(nBest, 3), this.beam.value);
    this.alpha.value = alpha;
    this.alpha.disabled = length_penalty === "none";
    this.#agree(this.beam);
  }

  /** What to ask the server for. */
  get values() {
    const { beam, nBest, alpha } = this;
    const values = { beam_size: Number(beam.value), n_best: Number(nBest.value) };
    return alpha.disabled ? values : { ...values, alpha: Number(alpha.value) };
  }

  /** No more translations than hypotheses: the one that was not touched follows. */
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
