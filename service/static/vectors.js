// Vectors: the numbers that a model of vectors reads, and what it answers.

import { csv, vectorsOf } from "./numbers.js";

const MOST_DRAWN = 4; // numbers of a source vector beyond which only the answer is drawn

/** Sends numbers, and shows those of the answer in `table` and in `plot`, which stands in `figure`. */
export class Vectors {
  constructor({ region, table, figure, plot, remarks }) {
    Object.assign(this, { region, table, figure, plot, remarks });
    this.answer = [];
  }

  get name() {
    return "Numbers";
  }

  get placeholder() {
    return "Paste numbers: a step a line, with commas, tabs or spaces between them, or [[0.5, 1], [2, 3]]";
  }

  /** What is told of `text` below it. */
  count(text, { width }) {
    const lines = text.split(/\r\n?|\n/).filter((line) => line.trim()).length;
    const steps = text.trimStart().startsWith("[") ? "JSON" : `${lines.toLocaleString("en")} ${lines === 1 ? "line" : "lines"}`;
    return `${steps}, ${width} ${width === 1 ? "number" : "numbers"} a step`;
  }

  /** The request for `text`. Throws `Unsendable` with the place of what are not the right numbers. */
  request(text, { width }) {
    return { vectors: [vectorsOf(text, width)] };
  }

  /** What is asked for beside the sequence: nothing, there is no search. */
  get wanted() {
    return {};
  }

  /** Show the answer to a request; returns what a screen reader is told of it. */
  show({ vectors }, { vectors: read }) {
    this.answer = vectors;
    const given = read?.[0];
    const groups = [{ name: "Output", columns: columnsOf(vectors, "Output") }];
    if (given?.[0].length <= MOST_DRAWN && given.length === vectors.length) {
      groups.unshift({ name: "Input", columns: columnsOf(given, "Input") });
    }
    const rows = this.table.show(groups.flatMap(({ columns }) => columns));
    this.region.hidden = false;
    this.figure.hidden = false;
    this.plot.show(groups);
    const steps = vectors.length.toLocaleString("en");
    const cut = `The table has the first ${rows?.toLocaleString("en")} of ${steps} steps; Copy copies all.`;
    this.remarks.show(rows === null ? [] : [cut]);
    return `The answer is there: ${steps} ${vectors.length === 1 ? "step" : "steps"}.`;
  }

  /** What Copy copies. */
  get copied() {
    return csv(this.answer);
  }

  clear() {
    this.answer = [];
    this.region.hidden = true;
    this.table.clear();
    this.figure.hidden = true;
    this.plot.clear();
    this.remarks.show([]);
  }
}

/** The columns of `vectors`, with their names. */
function columnsOf(vectors, name) {
  const several = vectors[0].length > 1;
  return vectors[0].map((_, i) => ({
    name: several ? `${name} ${i + 1}` : name,
    values: vectors.map((vector) => vector[i]),
  }));
}
