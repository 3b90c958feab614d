// The heat map: the attention of each piece of a translation over the pieces of its text.

const SPACE = "\u2581"; // marks the beginning of a word in SentencePiece
const percent = (weight) => `${Math.round(weight * 100)}\u00a0%`;

/** Shows `attention` as a table of coloured cells, and as sentences. */
export class HeatMap {
  constructor({ empty, body, table, readout, list, scroll }) {
    Object.assign(this, { empty, body, table, readout, list, scroll });
    table.addEventListener("pointerover", (event) => this.#read(event.target));
    table.addEventListener("pointerleave", () => this.#read(null));
  }

  /** Show that there is nothing to show, and why. */
  clear(reason) {
    this.empty.textContent = reason;
    this.empty.hidden = false;
    this.body.hidden = true;
    this.table.replaceChildren();
    this.list.replaceChildren();
  }

  /**
   * Show weights of shape (pieces, source pieces); an extra row and column are the EOS. Symbols are not
   * `joined` to words.
   */
  show(attention, pieces, sourcePieces, joined = true) {
    this.attention = attention;
    this.rows = labels(pieces, attention.length, joined);
    this.columns = labels(sourcePieces, attention[0]?.length ?? 0, joined);
    this.table.classList.toggle("dense", this.columns.length > 28);
    this.table.replaceChildren(this.#head(), this.#cells());
    this.list.replaceChildren(...attention.map((row, i) => this.#sentence(row, i)));
    this.#read(null);
    this.empty.hidden = true;
    this.body.hidden = false;
  }

  #head() {
    const head = document.createElement("thead");
    const row = head.insertRow();
    row.append(document.createElement("td"), ...this.columns.map((name) => labelled(name, "col")));
    return head;
  }

  #cells() {
    const body = document.createElement("tbody");
    for (const [i, weights] of this.attention.entries()) {
      const row = body.insertRow();
      row.append(labelled(this.rows[i], "row"));
      const most = weights.indexOf(Math.max(...weights));
      for (const [j, weight] of weights.entries()) {
        const cell = row.insertCell();
        cell.dataset.place = `${i},${j}`;
        cell.setAttribute("aria-label", percent(weight));
        cell.style.setProperty("--weight", weight.toFixed(3));
        cell.classList.toggle("most", j === most);
      }
    }
    return body;
  }

  #sentence(weights, i) {
    const item = document.createElement("li");
    const order = [...weights.keys()].sort((a, b) => weights[b] - weights[a]).slice(0, 3);
    const seen = order.filter((j, place) => place === 0 || weights[j] >= 0.1);
    const name = document.createElement("b");
    name.textContent = this.rows[i].text;
    const looked = seen.map((j) => `${this.columns[j].text} ${percent(weights[j])}`).join(", ");
    item.append(name, ` looks at ${looked}`);
    return item;
  }

  #read(cell) {
    for (const lit of this.table.querySelectorAll(".lit")) lit.classList.remove("lit");
    const place = cell?.dataset?.place?.split(",").map(Number);
    if (!place) {
      this.readout.textContent = "";
      return;
    }
    const [i, j] = place;
    this.table.tHead.rows[0].cells[j + 1].classList.add("lit");
    this.table.tBodies[0].rows[i].cells[0].classList.add("lit");
    const weight = percent(this.attention[i][j]);
    this.readout.textContent = `${this.rows[i].text} looks at ${this.columns[j].text}: ${weight}`;
  }
}

/** The names of pieces; beyond them, up to `count`, is the end of the sentence. */
export function labels(pieces, count, joined = true) {
  const names = pieces.map((piece) => ({
    text: piece.replaceAll(SPACE, " ").trim() || "space",
    joined: joined && !piece.startsWith(SPACE),
  }));
  while (names.length < count) names.push({ text: "end", joined: false, end: true });
  return names.slice(0, count);
}

/** A cell that names a row or a column. */
export function labelled(name, scope) {
  const cell = document.createElement("th");
  cell.scope = scope;
  const text = document.createElement("span");
  text.textContent = name.text;
  text.classList.toggle("joined", Boolean(name.joined));
  text.classList.toggle("end", Boolean(name.end));
  cell.append(text);
  return cell;
}
