// The notice: says what went wrong, beside what caused it, and offers a way to go on.

import { Refused } from "./api.js";

const TOO_LONG = "input_too_long";
const BUSY = ["overloaded", "rate_limited", "too_many_connections", "too_many_pipelined"];
const MOST_REPEATS = 5; // automatic retries in a row; after that the user has to press the button
const WAIT_S = 2; // if the server does not say how long

/**
 * Shows one error at a time, in one of the `places`, which are elements by name. `onRetry` is called
 * to retry, `onKey` to ask for a key, and `onLong` with what to do with a text that is too long, one
 * of the values of `ways()`, which has [{ value, offer }].
 */
export class Notice {
  constructor({ box, places, text, wait, button, choices, ways, onRetry, onKey, onLong }) {
    Object.assign(this, { box, places, text, wait, button, choices, ways, onRetry, onKey, onLong });
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

  /** Say what `error` means for a `thing` in `place`, and scroll there if it is out of view. */
  show(error, place, thing = "text") {
    this.pause();
    this.places[place].append(this.box);
    this.unreachable = !(error instanceof Refused);
    this.#goOn(error);
    this.wait.hidden = true;
    this.box.hidden = false;
    this.text.textContent = words(error, thing);
    this.repeats += 1;
    if (passes(error) && this.repeats <= MOST_REPEATS) this.#countDown(error.retryAfter ?? WAIT_S);
    this.box.scrollIntoView({ block: "nearest" });
  }

  #goOn(error) {
    this.way = () => this.#retry();
    this.button.textContent = "Try again";
    this.button.hidden = false;
    this.choices.replaceChildren();
    if (error.status === 401 || error.status === 403) {
      this.button.textContent = "Give a key";
      this.way = this.onKey;
    } else if (error.type === TOO_LONG) {
      this.button.hidden = true;
      this.#offer();
    } else if ([400, 413, 415, 422].includes(error.status)) {
      this.button.hidden = true; // would be refused again
    }
  }

  /** Offer other ways with the text that is too long, if that is what it says. */
  refresh() {
    if (this.choices.children.length) this.#offer();
  }

  #offer() {
    this.choices.replaceChildren(...this.ways().map((way) => this.#choice(way)));
  }

  #choice({ value, offer }) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "solid";
    button.textContent = offer;
    button.addEventListener("click", () => this.onLong(value));
    return button;
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

/** Whether `error` passes by itself, so that a retry may succeed. */
function passes({ status, type }) {
  return status === 429 || status === 503 || BUSY.includes(type) || type === "shutting_down";
}

/** What `error` means, in a sentence or two; `thing` is what was sent. */
export function words(error, thing = "text") {
  const { status, type, message } = error;
  if (!(error instanceof Refused)) {
    return navigator.onLine ? message : "You are offline. This resumes when the connection is back.";
  }
  if (type === TOO_LONG) return tooLong(message);
  if (type === "rate_limited") return "This server takes only so many requests a minute from you.";
  if (status === 429 || BUSY.includes(type)) return "The server has as much to do as it can.";
  if (type === "shutting_down") return "The server is about to restart.";
  if (status === 401) return "This server asks for an API key.";
  if (status === 403) return "This API key does not allow that.";
  if (status === 404) return "This model is no longer there.";
  if (status === 413) return `This ${thing} is larger than the server takes at once. Shorten it.`;
  if (status === 504) return `The server did not come to this ${thing} in time.`;
  if (type === "internal") return `The server failed at this ${thing}.`;
  return refused(message);
}

/** A message of the form "options.beam_size: It should be ...", or without such a beginning. */
function refused(message) {
  const [, field, reason] = /^(?:options\.)?([a-z_]+)(?:\.\d+)?: (.+)$/.exec(message) ?? [];
  if (!field) return message;
  const given = ["text", "symbols", "vectors"].includes(field) ? `the ${field}` : `“${field}”`;
  return `The server refused ${given}: ${reason}`;
}

function tooLong(message) {
  const [pieces, limit] = message.match(/\d+/g).map((count) => Number(count).toLocaleString("en"));
  return `This text is too long to be read whole: it has ${pieces} pieces, and the model reads ${limit}. Shorten it, or choose:`;
}
