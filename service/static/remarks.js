// Remarks: notes on the answer that is shown, displayed next to it and read by screen readers.

/** What is said of an answer whose connection broke. */
export const INCOMPLETE = "This answer is incomplete: it broke off here.";

const ANSWERS = { translate: "translation", summarize: "summary", transduce: "answer" };

/** The remarks on `found`, an answer of a model for `task`; none if nothing was cut. */
export function remarksOn(found, task) {
  const remarks = [];
  const read = found.truncated_source;
  if (read !== undefined) {
    const pieces = read.toLocaleString("en");
    remarks.push(`Only the first ${pieces} pieces of the text were read. “Long texts” in the options has other ways.`);
  }
  if (found.windows) {
    const used = found.windows.filter((each) => each.used).length;
    const rest = used < found.windows.length ? `, of which ${used} made the summary` : "";
    remarks.push(`The text was longer than the model reads at once: it was read in ${found.windows.length} parts${rest}.`);
  }
  if (found.whole_source) {
    const { pieces, attention_span: span } = found.whole_source;
    const looked = span ? `, and for each piece of the summary ${span.toLocaleString("en")} were looked at` : "";
    remarks.push(`All ${pieces.toLocaleString("en")} pieces of the text were read at once${looked}.`);
  }
  if (found.truncated) {
    remarks.push(`This ${ANSWERS[task] ?? ANSWERS.translate} is cut short: it reached its length limit before its end.`);
  }
  return remarks;
}

/** Shows remarks in `box`, a live region that is always there. */
export class Remarks {
  constructor(box) {
    this.box = box;
  }

  show(remarks) {
    const lines = remarks.map((text) => {
      const line = document.createElement("p");
      line.textContent = text;
      return line;
    });
    this.box.replaceChildren(...lines);
  }
}
