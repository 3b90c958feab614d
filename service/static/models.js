// Models: from which language, to which, and by which model.

import { agree, language } from "./languages.js";

/**
 * The lists of languages and of models. `onChange` is called when another model is chosen, and
 * `onSwap` before the model of the opposite direction is.
 */
export class Models {
  constructor({ lists, fixed, from, to, swap, model, onChange, onSwap }) {
    Object.assign(this, { lists, fixed, from, to, swap, model });
    this.models = [];
    this.chosen = null;
    const choose = (found) => {
      this.#choose(found);
      onChange();
    };
    from.addEventListener("change", () => choose(this.#nearest(from.value)));
    to.addEventListener("change", () => choose(this.#fitting()[0]));
    model.addEventListener("change", () => {
      choose(this.models.find(({ name }) => name === model.value));
    });
    swap.addEventListener("click", () => {
      const opposite = this.#opposite();
      if (!opposite) return;
      onSwap();
      choose(opposite);
    });
  }

  /** Show `models`, and choose the one with this name if it is there. */
  show(models, name) {
    this.models = models;
    this.#choose(models.find((model) => model.name === name) ?? models[0] ?? null);
  }

  #choose(model) {
    this.chosen = model;
    this.lists.hidden = this.models.length < 2;
    this.fixed.hidden = !this.lists.hidden;
    this.fixed.textContent = model ? direction(model) : "No model yet";
    if (!model || this.lists.hidden) return;
    const reading = this.models.filter((other) => source(other) === source(model));
    fill(this.from, this.models.map(fromOption), source(model));
    fill(this.to, reading.map(toOption), answer(model));
    const alike = this.#fitting().map(({ name }) => [name, name]);
    fill(this.model, alike, model.name);
    this.model.parentElement.hidden = alike.length < 2;
    // A model that reads no text is chosen by its name in the first list, which leaves nothing open.
    for (const each of [this.swap, this.to.parentElement]) each.hidden = transduces(model);
    this.#describeSwap();
  }

  /** The models for what the lists of languages say. */
  #fitting() {
    const { from, to, models } = this;
    return models.filter((model) => source(model) === from.value && answer(model) === to.value);
  }

  /** The model for texts in `from` that does most nearly what the chosen one does. */
  #nearest(from) {
    const reading = this.models.filter((model) => source(model) === from);
    const same = reading.find((model) => answer(model) === answer(this.chosen));
    const back = reading.find(({ target }) => agree(target, this.chosen.source));
    return same ?? back ?? reading.find(({ task }) => task === this.chosen.task) ?? reading[0];
  }

  /** The model that translates the other way, or undefined. */
  #opposite() {
    const { source, target, task } = this.chosen;
    if (task !== "translate") return undefined;
    return this.models.find(
      (other) =>
        other.task === task && agree(other.source, target) && agree(other.target, source),
    );
  }

  #describeSwap() {
    const { source, target, task } = this.chosen;
    const possible = Boolean(this.#opposite());
    let why = "Swap the languages: the translation becomes the text";
    if (!possible) {
      why =
        task !== "translate"
          ? "A summary cannot be turned back into its text"
          : source && target
            ? `No model here translates from ${language(target)} to ${language(source)}`
            : "This model does not say its languages";
    }
    // Not `disabled`, so that it can be reached and says why by keyboard as well.
    this.swap.setAttribute("aria-disabled", String(!possible));
    this.swap.setAttribute("aria-label", why);
    this.swap.title = why;
  }
}

/** The languages of a model in words, or without them the title of its card or its name. */
export function direction(model) {
  const { source, target, task, name, card } = model;
  if (transduces(model)) return name; // the title of its card says what it reads, like that of others
  if (task === "summarize") {
    return source ? `${answerName(model)}, ${language(source)}` : `Summary (${name})`;
  }
  if (!source || !target) return /^# (.+)/m.exec(card ?? "")?.[1] ?? name;
  return `${language(source)} \u2192 ${language(target)}`;
}

const transduces = ({ task }) => task === "transduce";
/** What a model is chosen by in the first list: a language, or the name of one that reads no text. */
const source = (model) => (transduces(model) ? `named ${model.name}` : (model.source ?? ""));
const answer = ({ task, target }) => `${task} ${target ?? ""}`;
const fromOption = (model) => [
  source(model),
  transduces(model) ? model.name : (language(model.source) ?? "Any language"),
];
const toOption = (model) => [answer(model), answerName(model)];

function answerName({ task, source, target, name }) {
  if (task !== "summarize") return language(target) ?? name;
  return target && target !== source ? `Summary in ${language(target)}` : "Summary";
}

/** Make the options of `select` those of `pairs`, [value, label], each once. */
function fill(select, pairs, value) {
  const options = [...new Map(pairs)].map(([key, label]) => new Option(label, key));
  select.replaceChildren(...options);
  select.value = value;
  select.disabled = options.length < 2;
}
