// Partial results: an answer as far as it has come.

const PARTIAL_MS = 60; // between two that are shown

/** Shows partial results with `show`, not more of them than there is time for. */
export class Partial {
  constructor(show) {
    this.show = show;
    this.last = 0;
    this.text = null;
  }

  add(text) {
    this.text = text;
    const wait = this.last + PARTIAL_MS - performance.now();
    if (wait <= 0) this.#tell();
    else this.timer ??= setTimeout(() => this.#tell(), wait);
  }

  /** Show no more; returns the longest partial result, or null if there was none. */
  end() {
    clearTimeout(this.timer);
    return this.text;
  }

  #tell() {
    // It may still be waiting, if an event was faster: then it would show this again, after the end.
    clearTimeout(this.timer);
    this.timer = null;
    this.last = performance.now();
    this.show(this.text);
  }
}
