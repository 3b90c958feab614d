// The plot: the columns of sequences of vectors as lines over their steps.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 6; // of style.css; further columns repeat them, dashed
const MOST_READ = 6; // columns whose numbers are told at the pointer
const WIDTH = 1000; // of the drawing, which the page stretches
const HEIGHT = 300;

const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });

/** A number as the page shows it, with six digits. */
export function shownNumber(value) {
  return number.format(value).replace("-", "\u2212");
}

/** Draws one panel for each group of columns into `box`; `readout` has the numbers at the pointer. */
export class Plot {
  constructor({ box, readout }) {
    Object.assign(this, { box, readout });
  }

  /** Show `groups`, each { name, columns: [{ name, values }] }, with a number for each step. */
  show(groups) {
    this.box.replaceChildren(...groups.map((group) => this.#panel(group)));
    this.readout.textContent = "";
  }

  clear() {
    this.show([]);
  }

  #panel({ name, columns }) {
    const steps = columns[0].values.length;
    const { low, high } = range(columns);
    const panel = element("div", "panel");
    const drawing = lines(columns, low, high);
    drawing.setAttribute("role", "img");
    drawing.setAttribute(
      "aria-label",
      `${name}: ${counted(columns.length, "line")} over ${counted(steps, "step")}, from ` +
        `${shownNumber(low)} to ${shownNumber(high)}. The table has the numbers.`,
    );
    const values = low === high ? [high] : [high, low];
    const ends = steps === 1 ? ["step 1"] : ["step 1", `step ${steps.toLocaleString("en")}`];
    panel.append(
      legend(name, columns),
      axis("values", values.map(shownNumber)),
      drawing,
      axis("steps", ends),
    );
    this.#listen(drawing, columns, steps);
    return panel;
  }

  #listen(drawing, columns, steps) {
    const cursor = drawing.lastChild;
    drawing.addEventListener("pointermove", ({ clientX }) => {
      const { left, width } = drawing.getBoundingClientRect();
      const share = Math.min(Math.max((clientX - left) / width, 0), 1);
      const step = Math.round(share * (steps - 1));
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, place(step, steps));
      const told = columns.slice(0, MOST_READ).map(({ name, values }) => `${name} ${shownNumber(values[step])}`);
      if (columns.length > MOST_READ) told.push("\u2026");
      this.readout.textContent = `Step ${(step + 1).toLocaleString("en")}: ${told.join(", ")}`;
    });
    drawing.addEventListener("pointerleave", () => {
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, -WIDTH);
      this.readout.textContent = "";
    });
  }
}

/** The drawing of all columns, and after them the cursor, which is outside. */
function lines(columns, low, high) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  for (const [i, { values }] of columns.entries()) {
    const line = document.createElementNS(SVG, "polyline");
    const points = values.map((value, step) => {
      const share = high === low ? 0.5 : (value - low) / (high - low);
      return `${place(step, values.length)},${(HEIGHT * (1 - share)).toFixed(2)}`;
    });
    if (points.length === 1) points.push(points[0]); // a line of no length has a dot at its end
    line.setAttribute("points", points.join(" "));
    line.setAttribute("class", series(i));
    drawing.append(line);
  }
  const cursor = document.createElementNS(SVG, "line");
  cursor.setAttribute("class", "cursor");
  for (const [name, value] of Object.entries({ x1: -WIDTH, x2: -WIDTH, y1: 0, y2: HEIGHT })) {
    cursor.setAttribute(name, value);
  }
  drawing.append(cursor);
  return drawing;
}

/** Where step number `step` of `steps` is, from the left. */
function place(step, steps) {
  return (steps === 1 ? WIDTH / 2 : (step / (steps - 1)) * WIDTH).toFixed(2);
}

function range(columns) {
  let [low, high] = [Infinity, -Infinity];
  for (const { values } of columns) {
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return { low, high };
}

function series(i) {
  return `series series-${(i % COLOURS) + 1}${i >= COLOURS ? " dashed" : ""}`;
}

function legend(name, columns) {
  const head = element("p", "legend");
  if (columns.length === 1) {
    head.append(key(name, 0));
    return head;
  }
  head.append(...columns.map((column, i) => key(column.name, i)));
  return head;
}

function key(name, i) {
  const made = element("span", "key");
  const sample = document.createElementNS(SVG, "svg");
  sample.setAttribute("viewBox", "0 0 20 4");
  sample.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", "1,2 19,2");
  line.setAttribute("class", series(i));
  sample.append(line);
  made.append(sample, name);
  return made;
}

/** Labels at the two ends of an axis, or one in its middle. */
function axis(name, labels) {
  const made = element("p", `axis ${name}`);
  made.setAttribute("aria-hidden", "true"); // the drawing's own label says them
  made.append(
    ...labels.map((label) => {
      const text = element("span", "");
      text.textContent = label;
      return text;
    }),
  );
  return made;
}

function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function element(name, className) {
  const made = document.createElement(name);
  made.className = className;
  return made;
}
