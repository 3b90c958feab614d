// Symbols: the line that a model of symbols reads, and what it answers.

import { Unsendable } from "./api.js";
import { remarksOn } from "./remarks.js";

/** Sends a line, and shows the hypotheses: `output` has the chosen one, and `links` its links. */
export class Symbols {
  constructor({ output, links, alternatives, heat, attention, remarks, options }) {
    Object.assign(this, { output, links, alternatives, heat, attention, remarks, options });
    this.hypotheses = [];
  }

  get name() {
    return "Symbols";
  }

  get placeholder() {
    return "Type a line of symbols, written as in the training data";
  }

  /** What is told of `text` below it. */
  count(text) {
    return `${text.length.toLocaleString("en")} characters`;
  }

  /** The request for `text`. Throws `Unsendable` if it has several lines. */
  request(text) {
    const lines = text.split(/\r\n?|\n/).filter((line) => line.trim());
    if (lines.length > 1) {
      throw new Unsendable(
        `These are ${lines.length} lines, and this page sends one at a time. Remove the line breaks, or send a list of lines to POST /v1/transduce.`,
      );
    }
    const wanted = ["scores", "tokens", "alignment"];
    if (this.attention.open) wanted.push("attention");
    return { symbols: lines[0], options: this.options.values, return: wanted };
  }

  /** Show an answer; returns what a screen reader is told of it. */
  show(result) {
    this.hypotheses = [result, ...(result.alternatives ?? [])].map((each) => ({
      ...each,
      text: each.symbols,
      source_pieces: result.source_pieces,
    }));
    this.alternatives.show(this.hypotheses);
    this.choose(0);
    return result.symbols;
  }

  /** Show hypothesis `place`. */
  choose(place) {
    const found = this.hypotheses[place];
    this.output.textContent = found.symbols;
    this.links.show(found.source_pieces, found.pieces, found.alignment);
    this.remarks.show(remarksOn(found, "transduce"));
    if (found.attention?.length) this.heat.show(found.attention, found.pieces, found.source_pieces, false);
    else this.heat.clear(this.attention.open ? "There is nothing in this answer to show." : "");
  }

  /** What Copy copies. */
  get copied() {
    return this.output.textContent;
  }

  /** Whether the answer lacks the attention that its part of the page is open for. */
  get lacksAttention() {
    return this.attention.open && !this.hypotheses[0]?.attention;
  }

  clear() {
    this.hypotheses = [];
    this.output.textContent = "";
    this.links.clear();
    this.alternatives.hide();
    this.remarks.show([]);
    this.heat.clear("Type a line, and this shows where the model looked for each symbol.");
  }
}
