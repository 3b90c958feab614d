// Long input: what becomes of a text that is longer than a summarizer reads at once.

const REFUSE = "refuse";
const WAYS = new Map([
  ["cut", { offer: "Summarize the first part", name: "read the first part" }],
  ["windows", { offer: "Summarize it in parts", name: "read it in parts" }],
  ["whole", { offer: "Read all of it", name: "read all of it at once" }],
]);

/** The list of ways that a server has. `onChange` is called when another is chosen. */
export class LongInput {
  constructor({ field, select, onChange }) {
    Object.assign(this, { field, select });
    this.allow([REFUSE, "cut"]);
    select.addEventListener("change", onChange);
  }

  /** Offer those of the values of `on_long` that this page knows. */
  allow(values) {
    const { value } = this.select;
    const known = values.filter((each) => WAYS.has(each));
    const options = known.map((each) => new Option(WAYS.get(each).name, each));
    this.select.replaceChildren(new Option("ask what to do", REFUSE), ...options);
    this.select.value = known.includes(value) ? value : REFUSE;
  }

  adopt({ task }) {
    this.field.hidden = task !== "summarize";
    this.forget();
  }

  /** Ask again, because it will be another text. */
  forget() {
    this.select.value = REFUSE;
  }

  choose(value) {
    this.select.value = value;
  }

  /** What could be done with a text that is too long: [{ value, offer }]. */
  get ways() {
    const values = [...this.select.options].map(({ value }) => value);
    return values.filter((value) => value !== REFUSE).map((value) => ({ value, offer: WAYS.get(value).offer }));
  }

  /** The fields of a request. */
  get values() {
    return this.select.value === REFUSE ? {} : { on_long: this.select.value };
  }
}
