// About: what is known of the chosen model, and its card.

import { rendered } from "./card.js";
import { direction } from "./models.js";

/** Show `model`, one of /v1/models, in a list of facts, a list of its options and its card. */
export function describe(model, { facts, defaults, card }) {
  const loaded = new Date(model.loaded_at * 1000);
  show(facts, {
    Name: model.name,
    Task: model.task,
    ...reading(model),
    Digest: model.digest,
    Loaded: loaded.toLocaleString(),
  });
  show(defaults, model.options);
  card.replaceChildren(...rendered(model.card));
  card.hidden = !model.card;
}

/** What a model reads and writes, as facts. */
function reading(model) {
  if (model.task !== "transduce") {
    return { Languages: model.source && model.target ? direction(model) : "not given" };
  }
  const [reads, writes] = [model.source_kind, model.target_kind].map((kind) => (kind === "pieces" ? "text" : kind));
  const { width } = model;
  const numbers = width === 1 ? "1 number" : `${width} numbers`;
  return { Reads: width ? `${reads} of ${numbers}` : reads, Writes: writes };
}

function show(list, facts) {
  list.replaceChildren(
    ...Object.entries(facts).flatMap(([name, value]) => {
      const term = document.createElement("dt");
      term.textContent = name;
      const data = document.createElement("dd");
      data.textContent = typeof value === "string" ? value : JSON.stringify(value);
      return [term, data];
    }),
  );
}
