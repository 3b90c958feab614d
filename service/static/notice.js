// The notice: says what went wrong and offers a way to continue: wait, retry or enter a key.

import { Refused } from "./api.js";

const TOO_LONG = "input_too_long";
const MOST_REPEATS = 5; // automatic retries in a row; after that the user has to press the button
const WAIT_S = 2; // if the server does not say how long

/**
 * Shows one error at a time. `onRetry` is called to retry, `onKey` to ask for a key, and `onCut` to
 * read only the beginning of a text that is too long.
 */
export class Notice {
  constructor({ box, text, wait, button, onRetry, onKey, onCut }) {
    Object.assign(this, { box, text, wait, button, onRetry, onKey, onCut });
    this.repeats = 0;
    this.way = null; // what the button does
    button.addEventListener("click", () => this.way());
    addEventListener("online", () => {
      if (!this.box.hidden && this.unreachable) this.#retry();
    });
  }

  /** Hide it after a success. */
  clear() {
    this.repeats = 0;
    this.pause();
  }

  /** Hide it and cancel the retry. */
  pause() {
    clearInterval(this.timer);
    this.box.hidden = true;
    this.text.textContent = "";
  }

  /** Say what `error` means. */
  show(error) {
    this.pause();
    const status = error instanceof Refused ? error.status : null;
    const busy = status === 429 || ["overloaded", "rate_limited"].includes(error.type);
    const leaving = status === 503 || error.type === "shutting_down";
    this.unreachable = status === null;
    this.text.textContent = this.#words(error, { status, busy, leaving });
    this.#goOn(error, status);
    this.wait.hidden = true;
    this.box.hidden = false;
    this.repeats += 1;
    if ((busy || leaving) && this.repeats <= MOST_REPEATS) {
      this.#countDown(error.retryAfter ?? WAIT_S);
    }
  }

  #goOn(error, status) {
    this.way = () => this.#retry();
    this.button.textContent = "Try again";
    this.button.hidden = false;
    if (status === 401 || status === 403) {
      this.button.textContent = "Give a key";
      this.way = this.onKey;
    } else if (error.type === TOO_LONG) {
      this.button.textContent = "Read its beginning";
      this.way = this.onCut;
    } else if ([400, 413, 415, 422].includes(status)) {
      this.button.hidden = true; // would be refused again
    }
  }

  #words(error, { status, busy, leaving }) {
    if (status === null) {
      return navigator.onLine ? error.message : "You are offline. This goes on when you are not.";
    }
    if (status === 401) return "This server asks for an API key, and has not got a valid one.";
    if (status === 403) return "This API key does not allow that.";
    if (busy) return "The server has as much to do as it can.";
    if (leaving) return "The server is about to restart.";
    if (status === 404) return "This model is no longer there.";
    if (error.type === TOO_LONG) return tooLong(error.message);
    if (status === 504) return "The server did not come to this text in time.";
    if (status >= 500) return "The server failed at this text.";
    return error.message;
  }

  #countDown(seconds) {
    let left = Math.max(Math.ceil(seconds), 1);
    const tell = () => {
      this.wait.textContent = `Trying again in ${left} s.`;
    };
    tell();
    this.wait.hidden = false;
    this.button.textContent = "Try now";
    this.timer = setInterval(() => {
      left -= 1;
      if (left > 0) tell();
      else this.#retry();
    }, 1000);
  }

  #retry() {
    this.pause();
    this.onRetry();
  }
}

function tooLong(message) {
  const [pieces, limit] = message.match(/\d+/g).map((count) => Number(count).toLocaleString("en"));
  return `This text is too long to be read whole: it has ${pieces} pieces, and the model reads ${limit}. Shorten it, or have only its beginning read.`;
}
