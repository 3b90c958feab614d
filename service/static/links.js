// Links: show which part of the text a part of the translation comes from, on pointer, focus and
// caret. The parts are words, and sentences where there are too many words.

import { divided, within } from "./places.js";
import { fill, split } from "./words.js";

const MOST_WORDS = 1500; // beyond that the parts are sentences, to stay quick
const REVEAL_MS = 120; // a pointer that passes over words does not scroll the text

/**
 * The links between the text in `source` (behind which lies `mirror`) and its translation in
 * `output`. `onSentence` is called with the number of the sentence that the cursor has come to.
 * `pane` is what the text scrolls in.
 */
export class Links {
  constructor({ source, mirror, pane, output, caption, thread, onSentence }) {
    Object.assign(this, { source, mirror, pane, output, caption, thread, onSentence });
    this.forget();
    this.#listen();
  }

  /**
   * Show `translation` of `text`. `places` has for each word where in the text it comes from,
   * [start, end) of each place; `pairs` has the words of each sentence (see `paired`), and without
   * pairs there are no links. In a `summary`, which is short, each word is linked however long the
   * text is, and the text scrolls to where a word comes from.
   */
  show(text, { translation, places, pairs }, summary) {
    this.forget();
    if (!pairs.length) {
      this.output.textContent = translation;
      return;
    }
    const theirs = split(text);
    const ours = split(translation);
    const few = theirs.words.length + ours.words.length <= MOST_WORDS;
    const byWord = few || (summary && ours.words.length <= MOST_WORDS);
    const { parts, firsts } = divided(theirs.words, byWord ? places.flat() : []);
    this.links = byWord ? places.map((each) => within(parts, each)) : pairs.map((_, i) => [i]);
    const linked = new Set(few ? [] : this.links.flat());
    const from = fill(
      this.mirror,
      { words: parts, after: theirs.after },
      pairs.map(({ from: [first, end] }) => [firsts[first], firsts[end]]),
      (i) => byWord && (few || linked.has(i)),
    );
    this.mirror.append("\n"); // a line that ends the text has height, as in the text field
    const to = fill(this.output, ours, pairs.map((pair) => pair.to), () => byWord);
    const bounds = ({ start, word }) => [start, start + word.length];
    this.byWord = byWord;
    this.reveals = summary;
    this.pairs = pairs;
    this.sentences = [from.sentences, to.sentences];
    this.firsts = pairs.map((pair) => theirs.words[pair.from[0]].start);
    this.from = byWord ? from.words : from.sentences;
    this.to = byWord ? to.words : to.sentences;
    this.starts = byWord
      ? parts.map(bounds)
      : pairs.map(({ from: [first, end] }) => [
          bounds(theirs.words[first])[0],
          bounds(theirs.words[end - 1])[1],
        ]);
    for (const [i, span] of this.to.entries()) {
      span.setAttribute("role", "button");
      span.setAttribute("aria-pressed", "false");
      span.tabIndex = i ? -1 : 0; // one stop for Tab; arrow keys go on from there
    }
  }

  /** Mark sentence `place` as that of the cursor. */
  mark(place) {
    for (const spans of this.sentences) {
      for (const [i, span] of spans.entries()) span.classList.toggle("current", i === place);
    }
  }

  /** The number of the sentence that the caret is in or after; at least 0. */
  get sentenceAtCaret() {
    const caret = this.source.selectionStart;
    return Math.max(this.firsts.findLastIndex((first) => first <= caret), 0);
  }

  /** Remove the links. What is on the page stays as plain text. */
  forget() {
    this.held = null;
    this.byWord = false;
    this.pairs = [];
    this.sentences = [[], []];
    this.firsts = [];
    this.links = [];
    this.reveals = false;
    this.starts = [];
    for (const span of this.to ?? []) {
      for (const name of ["role", "aria-pressed", "tabindex"]) span.removeAttribute(name);
    }
    this.#unlight();
    this.from = [];
    this.to = [];
  }

  #listen() {
    const { source, output } = this;
    const index = (event) => this.to.indexOf(event.target);
    output.addEventListener("pointerover", (event) => this.#lightTarget(index(event)));
    output.addEventListener("pointerleave", () => this.#rest());
    output.addEventListener("focusin", (event) => {
      this.#lightTarget(index(event));
      this.#enter(index(event));
    });
    output.addEventListener("focusout", () => this.#rest());
    output.addEventListener("click", (event) => {
      if (!getSelection().isCollapsed) return; // not while selecting text
      this.#hold(index(event));
      this.#enter(index(event));
    });
    output.addEventListener("keydown", (event) => this.#key(event, index(event)));
    let frame = 0;
    source.addEventListener("pointermove", ({ clientX, clientY }) => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => this.#lightSource(this.#under(clientX, clientY)));
    });
    source.addEventListener("pointerleave", () => {
      cancelAnimationFrame(frame);
      this.#rest();
    });
    document.addEventListener("selectionchange", () => {
      if (document.activeElement !== source) return;
      this.#lightSource(this.#atCaret());
      if (this.pairs.length) this.onSentence(this.sentenceAtCaret);
    });
    source.addEventListener("blur", () => this.#rest());
    addEventListener("resize", () => this.thread.redraw());
    addEventListener("scroll", () => this.thread.redraw(), { capture: true, passive: true });
  }

  /** The cursor has come to part `i` of the translation. */
  #enter(i) {
    if (i < 0) return;
    this.onSentence(this.byWord ? this.pairs.findIndex(({ to }) => i < to[1]) : i);
  }

  #key(event, i) {
    if (i < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.to.length - 1;
    const places = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: last };
    if (event.key in places) {
      const place = Math.min(Math.max(places[event.key], 0), last);
      this.to[i].tabIndex = -1;
      this.to[place].tabIndex = 0;
      this.to[place].focus();
    } else if (event.key === "Enter" || event.key === " ") this.#hold(i);
    else if (event.key === "Escape" && this.held !== null) this.#hold(this.held);
    else return;
    event.preventDefault();
  }

  /** Keep the link of word `i` when the pointer leaves it; a second call releases it. */
  #hold(i) {
    if (i < 0) return;
    if (this.held !== null) this.to[this.held].setAttribute("aria-pressed", "false");
    this.held = this.held === i ? null : i;
    if (this.held !== null) this.to[i].setAttribute("aria-pressed", "true");
    this.#lightTarget(i);
  }

  #rest() {
    clearTimeout(this.revealing);
    const focused = this.to.indexOf(document.activeElement);
    const place = this.held ?? focused;
    if (place >= 0) this.#lightTarget(place);
    else this.#unlight();
  }

  #lightTarget(i) {
    if (i < 0) return;
    this.#light(this.links[i], [i]);
    if (!this.reveals) return;
    clearTimeout(this.revealing);
    this.revealing = setTimeout(() => this.#reveal(this.links[i]), REVEAL_MS);
  }

  #lightSource(i) {
    if (!this.from[i]) return this.#rest();
    const places = this.links.flatMap((parts, j) => (parts.includes(i) ? [j] : []));
    this.#light([i], places);
  }

  /** Scroll the text to the first of these parts of it, unless one is in view. */
  #reveal(parts) {
    const { pane } = this;
    const { top, bottom } = pane.getBoundingClientRect();
    const boxes = parts.map((i) => this.from[i].getBoundingClientRect());
    const inView = boxes.some((box) => box.top >= top && box.bottom <= bottom);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    // If one is in view, it stays, even if the pane was on its way to those of another word.
    const by = inView || !boxes.length ? 0 : boxes[0].top - top - pane.clientHeight / 3;
    pane.scrollTo({ top: pane.scrollTop + by, behavior: by && !calm ? "smooth" : "instant" });
  }

  #light(from, to) {
    this.#unlight();
    const lit = [...from.map((i) => this.from[i]), ...to.map((j) => this.to[j])];
    for (const span of lit) span.classList.add("lit");
    if (!this.byWord) return; // a sentence is too long for a caption
    const text = (spans, places) => joined(places.map((i) => [i, spans[i].textContent]));
    this.caption.textContent = to.length
      ? `${text(this.to, to)} ← ${text(this.from, from)}`
      : `${text(this.from, from)}: no word looks mostly here`;
    this.thread.draw(from.flatMap((i) => to.map((j) => [this.from[i], this.to[j]])));
  }

  #unlight() {
    for (const element of [this.mirror, this.output]) {
      for (const span of element.querySelectorAll(".lit")) span.classList.remove("lit");
    }
    this.caption.textContent = "";
    this.thread.clear();
  }

  /** The word of the text at a point of the window, or -1. */
  #under(x, y) {
    return this.from.findIndex((span) =>
      [...(span?.getClientRects() ?? [])].some(
        (box) => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom,
      ),
    );
  }

  #atCaret() {
    const { selectionStart: start, selectionEnd: end } = this.source;
    if (start !== end) return -1;
    return this.starts.findIndex(([first, last]) => start >= first && start <= last);
  }
}

/** [number, text] of parts as one line: those that follow one another together. */
function joined(parts) {
  return parts
    .map(([i, text], place) => (!place ? "" : parts[place - 1][0] === i - 1 ? " " : " … ") + text)
    .join("");
}

/**
 * The curve that hangs between two linked words, while both are in view in their panes. Those that lie
 * one above the other, as `stacked()` says, are linked from below the first to above the second.
 */
export class Thread {
  constructor(svg, panes, stacked = onNarrowScreen) {
    this.svg = svg;
    this.panes = panes;
    this.stacked = stacked;
    this.pairs = [];
  }

  draw(pairs) {
    this.pairs = pairs;
    this.redraw();
  }

  clear() {
    this.draw([]);
  }

  /** Redraw it, since the words may have moved. */
  redraw() {
    const origin = this.svg.getBoundingClientRect();
    const stacked = this.stacked();
    this.svg.replaceChildren(
      ...this.pairs.filter((pair) => pair.every((word) => this.#inView(word))).map(([from, to]) => {
        const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
        path.setAttribute("d", hang(anchor(from, origin), anchor(to, origin), stacked));
        return path;
      }),
    );
  }

  #inView(word) {
    const pane = this.panes.find((each) => each.contains(word)).getBoundingClientRect();
    const { top, bottom } = word.getBoundingClientRect();
    return top < pane.bottom && bottom > pane.top;
  }
}

function onNarrowScreen() {
  return matchMedia("(max-width: 46rem)").matches; // as in style.css
}

function anchor(element, origin) {
  const box = element.getClientRects()[0] ?? element.getBoundingClientRect();
  return {
    x: box.left + box.width / 2 - origin.left,
    top: box.top - origin.top,
    bottom: box.bottom - origin.top,
  };
}

function hang(from, to, stacked) {
  if (stacked) {
    const middle = (from.bottom + to.top) / 2;
    return `M${from.x} ${from.bottom} C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${to.top}`;
  }
  const sag = 18 + Math.abs(to.x - from.x) * 0.06;
  const low = Math.max(from.bottom, to.bottom) + sag;
  return `M${from.x} ${from.bottom} C${from.x} ${low} ${to.x} ${low} ${to.x} ${to.bottom}`;
}
