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
    this.usual = this.chosen = REFUSE;
    this.allow([REFUSE, "cut"]);
    select.addEventListener("change", () => {
      this.chosen = select.value;
      onChange();
    });
  }

  /** Offer those of the values of `on_long` that this page knows. */
  allow(values) {
    const known = values.filter((each) => WAYS.has(each));
    const options = known.map((each) => new Option(WAYS.get(each).name, each));
    this.select.replaceChildren(new Option("ask what to do", REFUSE), ...options);
    this.choose(this.chosen);
  }

  /** Begin with what the model does with such texts if nothing else is asked for. */
  adopt({ task, options }) {
    this.field.hidden = task !== "summarize";
    this.usual = options.on_long ?? REFUSE;
    this.forget();
  }

  /** Begin again, because it will be another text. */
  forget() {
    this.choose(this.usual);
  }

  /** Choose a way; the list shows it as soon as it is known that the server has it. */
  choose(value) {
    this.chosen = this.select.value = value;
  }

  /** What could be done with a text that is too long: [{ value, offer }]. */
  get ways() {
    const values = [...this.select.options].map(({ value }) => value);
    return values.filter((value) => value !== REFUSE).map((value) => ({ value, offer: WAYS.get(value).offer }));
  }

  /** The fields of a request. */
  get values() {
    return this.chosen === this.usual ? {} : { on_long: this.chosen };
  }
}
