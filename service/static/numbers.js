// Numbers: what is pasted as the vectors of a sequence, and vectors as CSV.

import { Unsendable } from "./api.js";

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const MOST_SHOWN = 20; // characters of what is no number

/**
 * The vectors of `width` numbers that `text` has: a step a line, its numbers separated by commas,
 * tabs or spaces, or all of them as JSON, `[[0.5, 1], [2, 3]]`. Throws `Unsendable` with the place of
 * what is none.
 */
export function vectorsOf(text, width) {
  if (text.trimStart().startsWith("[")) return ofJson(text, width);
  const vectors = [];
  for (const [i, line] of text.split(/\r\n?|\n/).entries()) {
    if (!line.trim()) continue;
    const cells = line.trim().split(/\s*,\s*|\s+/);
    vectors.push(checked(cells.map((cell) => numberOf(cell, `line ${i + 1}`)), width, `line ${i + 1}`));
  }
  return vectors;
}

/** `vectors` as lines of numbers with commas between them. */
export function csv(vectors) {
  return vectors.map((vector) => `${vector.join(",")}\n`).join("");
}

function ofJson(text, width) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Unsendable("This begins like JSON but is none. Give a list of the steps, such as [[0.5, 1], [2, 3]], or a step a line.");
  }
  return found.map((step, i) => {
    const place = `step ${i + 1}`;
    const numbers = Array.isArray(step) ? step : [step];
    for (const each of numbers) {
      if (typeof each !== "number") throw none(JSON.stringify(each), place);
      if (!Number.isFinite(each)) throw new Unsendable(`${place}: a number is too large.`);
    }
    return checked(numbers, width, place);
  });
}

function numberOf(cell, place) {
  const plain = cell.replace("\u2212", "-");
  if (!cell) throw new Unsendable(`${place}: a number is missing at a comma.`);
  if (!NUMBER.test(plain)) throw none(cell, place);
  const value = Number(plain);
  if (!Number.isFinite(value)) throw new Unsendable(`${place}: ${short(cell)} is too large.`);
  return value;
}

function none(found, place) {
  return new Unsendable(`${place}: \u201c${short(found)}\u201d is no number.`);
}

function short(text) {
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}\u2026` : text;
}

function checked(numbers, width, place) {
  if (numbers.length === width) return numbers;
  const count = `${numbers.length} ${numbers.length === 1 ? "number" : "numbers"}`;
  throw new Unsendable(`${place}: ${count}, but this model reads ${width}.`);
}
