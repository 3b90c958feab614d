// Alternatives: the hypotheses of the search with their scores, of which one is selected.

import { shared, split } from "./words.js";

const score = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const MOST_WORDS = 400; // beyond that, differences are not marked

/** A list of buttons, one for each hypothesis. `onChoose` gets the number of the chosen one. */
export class Alternatives {
  constructor({ section, list, of, status, error, again, onChoose, onAgain }) {
    Object.assign(this, { section, list, of, status, error, again });
    again.addEventListener("click", onAgain);
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      this.#mark(Number(button.dataset.place));
      onChoose(Number(button.dataset.place));
    });
  }

  /** Hide the section. */
  hide() {
    this.section.hidden = true;
    this.#say({});
    this.list.replaceChildren();
  }

  /**
   * Show `hypotheses`, the best first, of which number `place` is in the answer (-1: none).
   * `sentence` is what they translate, if not the whole text, of which a single one is no choice.
   */
  show(hypotheses, place = 0, sentence = "") {
    this.section.hidden = !sentence && hypotheses.length < 2;
    const best = hypotheses[0];
    this.list.replaceChildren(
      ...(this.section.hidden ? [] : hypotheses.map((each, i) => item(each, i, best))),
    );
    this.#say({ sentence });
    this.#mark(place);
  }

  /** Say that those of `sentence` are on their way. */
  expect(sentence) {
    this.section.hidden = false;
    this.list.replaceChildren();
    this.#say({ sentence, status: "Looking for other ways\u2026" });
  }

  /** Say that there was an error instead of those of `sentence`. */
  fail(sentence, error) {
    this.list.replaceChildren();
    this.#say({ sentence, error: `There are none to show. ${error}` });
  }

  #say({ sentence = "", status = "", error = "" }) {
    this.of.textContent = sentence;
    this.of.parentElement.hidden = !sentence;
    this.status.textContent = status;
    this.error.textContent = error;
    this.again.hidden = !error;
  }

  #mark(place) {
    for (const button of this.list.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.place) === place));
    }
  }
}

function item(hypothesis, place, best) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "alternative";
  button.dataset.place = place;
  const text = document.createElement("span");
  text.className = "alternative-text";
  text.append(...(place ? compared(hypothesis.text, best.text) : [hypothesis.text]));
  if (hypothesis.truncated) text.append(" ", cutShort());
  const figure = document.createElement("span");
  figure.className = "alternative-score";
  const bar = document.createElement("span");
  bar.className = "bar";
  // Its length-normalized probability, relative to that of the best one.
  const share = Math.min(Math.exp(hypothesis.score - best.score), 1);
  bar.style.setProperty("--share", share.toFixed(3));
  const number = document.createElement("span");
  number.textContent = score.format(hypothesis.score).replace("-", "\u2212");
  number.title = `log-probability ${hypothesis.log_prob.toFixed(3)}`;
  const word = document.createElement("span");
  word.className = "sr";
  word.textContent = " score ";
  figure.append(bar, word, number);
  button.append(text, figure);
  const entry = document.createElement("li");
  entry.append(button);
  return entry;
}

function cutShort() {
  const tag = document.createElement("span");
  tag.className = "cut";
  tag.textContent = "cut short";
  return tag;
}

/** `text` as nodes, with the words that `best` has not marked. */
function compared(text, best) {
  const { words, after } = split(text);
  if (words.length > MOST_WORDS || best.length > text.length * 4) return [text];
  const common = shared(text, best);
  const nodes = words.flatMap(({ before, word }, i) => {
    if (common[i]) return [before, word];
    const mark = document.createElement("mark");
    mark.textContent = word;
    return [before, mark];
  });
  return [...nodes, after];
}
