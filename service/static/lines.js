// Lines: the line of symbols or text that a model reads, and those that one answers.

import { Unsendable } from "./api.js";
import { remarksOn } from "./remarks.js";

/**
 * Sends a line as `field` of the request, and shows the hypotheses: `output` has the chosen one, and `links`
 * its links.
 */
export class Lines {
  constructor({ name, field, placeholder, output, links, alternatives, heat, attention, remarks, options }) {
    Object.assign(this, { name, field, placeholder, output, links, alternatives, heat, attention, remarks, options });
    this.hypotheses = [];
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
    return { [this.field]: lines[0] };
  }

  /** What is asked for beside the sequence. */
  get wanted() {
    const details = ["scores", "tokens", "alignment"];
    if (this.attention.open) details.push("attention");
    return { options: this.options.values, return: details };
  }

  /** Show the answer to a request, of which vectors are called by their numbers; returns what a
   * screen reader is told of it. */
  show(result, { vectors }) {
    const read = vectors ? vectors[0].map((_, i) => String(i)) : result.source_pieces;
    this.hypotheses = [result, ...(result.alternatives ?? [])].map((each) => ({
      ...each,
      text: each.symbols ?? each.text,
      source_pieces: read,
    }));
    this.alternatives.show(this.hypotheses);
    this.choose(0);
    return this.hypotheses[0].text;
  }

  /** Show hypothesis `place`. */
  choose(place) {
    const found = this.hypotheses[place];
    this.output.textContent = found.text;
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
