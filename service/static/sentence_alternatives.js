// Alternatives of a sentence: asked for by a request of its own, when the cursor comes to it.

const PAUSE_MS = 150; // a cursor that passes over sentences asks for none of them

/**
 * `ask(sentence, signal)` fetches hypotheses. `onWait`, `onFound` and `onFailed` get the sentence,
 * and the latter two what was found or the error.
 */
export class SentenceAlternatives {
  constructor({ ask, onWait, onFound, onFailed }) {
    Object.assign(this, { ask, onWait, onFound, onFailed });
    this.known = new Map();
  }

  /** Forget what was found, because it would be another answer now, and cancel the request. */
  forget() {
    this.#stop();
    this.known.clear();
  }

  /** Find the alternatives of `sentence`, and cancel the request for another one. */
  want(sentence) {
    this.#stop();
    const known = this.known.get(sentence);
    if (known) {
      this.onFound(sentence, known);
      return;
    }
    this.onWait(sentence);
    this.timer = setTimeout(() => this.#fetch(sentence), PAUSE_MS);
  }

  async #fetch(sentence) {
    const controller = new AbortController();
    this.running = controller;
    try {
      const found = await this.ask(sentence, controller.signal);
      if (controller.signal.aborted) return;
      this.known.set(sentence, found);
      this.onFound(sentence, found);
    } catch (error) {
      if (!controller.signal.aborted) this.onFailed(sentence, error);
    }
  }

  #stop() {
    clearTimeout(this.timer);
    this.running?.abort();
  }
}
