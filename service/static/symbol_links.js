// Symbol links: the symbols of a source over those of an answer, and from each of the answer a line to
// the one of the source that it attended to most.

/**
 * Two rows of symbols, `source` and `target`, within `figure`. `all` and `lit` are `Thread`s for all
 * links and for those of the symbol that is pointed at or has the focus, which `caption` tells.
 */
export class SymbolLinks {
  constructor({ figure, source, target, all, lit, caption }) {
    Object.assign(this, { figure, source, target, all, lit, caption });
    this.clear();
    this.#listen(source, (i) => [[i], this.#writtenFrom(i)], () => this.from);
    this.#listen(target, (i) => [[this.alignment[i]], [i]], () => this.to);
    new ResizeObserver(() => this.#redraw()).observe(figure);
  }

  /** Show the links of an answer: `alignment` has for each of its symbols one of the source. */
  show(sourceSymbols, symbols, alignment) {
    this.held = null;
    this.alignment = alignment;
    this.from = fill(this.source, sourceSymbols);
    this.to = fill(this.target, symbols);
    this.figure.hidden = !symbols.length;
    this.all.draw(alignment.map((i, j) => [this.from[i], this.to[j]]));
    this.#unlight();
  }

  /** Show none. */
  clear() {
    this.figure.hidden = true;
    this.show([], [], []);
  }

  #listen(row, ends, spans) {
    const index = (event) => spans().indexOf(event.target);
    const light = (event) => {
      if (index(event) >= 0) this.#light(...ends(index(event)));
    };
    row.addEventListener("pointerover", light);
    row.addEventListener("focusin", light);
    row.addEventListener("pointerleave", () => this.#rest());
    row.addEventListener("focusout", () => this.#rest());
    row.addEventListener("click", (event) => {
      if (index(event) >= 0) this.#hold(event.target, ends(index(event)));
    });
    row.addEventListener("keydown", (event) => this.#key(event, index(event), spans()));
  }

  #key(event, i, spans) {
    if (i < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = spans.length - 1;
    const places = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: last };
    if (event.key in places) {
      const place = Math.min(Math.max(places[event.key], 0), last);
      spans[i].tabIndex = -1;
      spans[place].tabIndex = 0;
      spans[place].focus();
    } else if (event.key === "Escape" && this.held) this.#hold(this.held.symbol, this.held.ends);
    else return;
    event.preventDefault();
  }

  /** Keep the links of a symbol when the pointer leaves it; a second call releases them. */
  #hold(symbol, ends) {
    this.held?.symbol.setAttribute("aria-pressed", "false");
    this.held = this.held?.symbol === symbol ? null : { symbol, ends };
    this.held?.symbol.setAttribute("aria-pressed", "true");
    this.#light(...ends);
  }

  #rest() {
    const focused = [this.from, this.to].map((spans) => spans.indexOf(document.activeElement));
    if (this.held) this.#light(...this.held.ends);
    else if (focused[0] >= 0) this.#light([focused[0]], this.#writtenFrom(focused[0]));
    else if (focused[1] >= 0) this.#light([this.alignment[focused[1]]], [focused[1]]);
    else this.#unlight();
  }

  #light(from, to) {
    this.#unlight();
    const ends = [from.map((i) => this.from[i]), to.map((j) => this.to[j])];
    for (const symbol of ends.flat()) symbol.classList.add("lit");
    const [read, written] = ends.map((symbols) => symbols.map((each) => each.textContent).join(" "));
    this.caption.textContent = to.length
      ? `${written} \u2190 ${read}`
      : `${read}: no symbol looks mostly here`;
    this.lit.draw(from.flatMap((i) => to.map((j) => [this.from[i], this.to[j]])));
  }

  #unlight() {
    for (const symbol of [...this.from, ...this.to]) symbol.classList.remove("lit");
    this.caption.textContent = "";
    this.lit.clear();
  }

  #redraw() {
    this.all.redraw();
    this.lit.redraw();
  }

  /** The numbers of the symbols of the answer that attended mostly to symbol `i` of the source. */
  #writtenFrom(i) {
    return this.alignment.flatMap((place, j) => (place === i ? [j] : []));
  }
}

function fill(row, symbols) {
  const made = symbols.map((symbol, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "symbol";
    button.textContent = symbol.trim() ? symbol : "\u2423"; // a space that is a symbol
    if (!symbol.trim()) button.setAttribute("aria-label", "space");
    button.setAttribute("aria-pressed", "false");
    button.tabIndex = i ? -1 : 0; // one stop for Tab; arrow keys go on from there
    return button;
  });
  row.replaceChildren(...made);
  return made;
}
