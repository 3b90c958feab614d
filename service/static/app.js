// The page: translates what is typed and shows the result.

import { Alternatives } from "./alternatives.js";
import { generate, listModels, Refused, Unreachable } from "./api.js";
import { language, Models, Options } from "./choices.js";
import { HeatMap } from "./heatmap.js";
import { Links, Thread } from "./links.js";
import { Notice } from "./notice.js";
import { Remarks, remarksOn } from "./remarks.js";

const PAUSE_MS = 280; // pause in typing after which a text is sent
const LONG_PAUSE_MS = 900; // the same for a text with more characters than this:
const LONG = 2000;
const HUGE = 20_000; // characters beyond which the text field scrolls instead of growing

const $ = (id) => document.getElementById(id);
const source = $("source");
const output = $("output");

let key = ""; // kept only here, so a page reload forgets it
let timer = 0;
let onLong = null; // "cut" once the user chose to have only the beginning of a long text read
let running = null; // the AbortController of the request in flight
let hypotheses = [];
let shownText = ""; // the text that `hypotheses` belong to

const thread = new Thread($("threads"));
const links = new Links({ source, mirror: $("mirror"), output, caption: $("caption"), thread });
const heat = new HeatMap({
  empty: $("attention-empty"),
  body: $("attention-body"),
  table: $("heat"),
  readout: $("heat-readout"),
  list: $("heat-list"),
});
const remarks = new Remarks($("remarks"));
const alternatives = new Alternatives({
  section: $("alternatives"),
  list: $("alternatives-list"),
  onChoose: look,
});
const models = new Models({
  select: $("model"),
  facts: $("about-facts"),
  card: $("about-card"),
  onChange: () => {
    onLong = null;
    adoptModel();
    later(0);
  },
});
const options = new Options({
  beam: $("beam"),
  nBest: $("n-best"),
  alpha: $("alpha"),
  sentences: $("sentences"),
  sentencesField: $("sentences-field"),
  reset: $("reset"),
  onChange: () => later(PAUSE_MS),
});
const notice = new Notice({
  box: $("notice"),
  text: $("notice-text"),
  wait: $("notice-wait"),
  button: $("notice-button"),
  onRetry: () => (models.chosen ? later(0) : connect()),
  onKey: () => $("key-panel").showPopover(),
  onCut: () => {
    onLong = "cut";
    later(0);
  },
});

// Typing

function typed() {
  const { value } = source;
  notice.clear();
  measure();
  if (!value) onLong = null;
  $("clear").hidden = !value;
  $("count").textContent = value ? `${value.length.toLocaleString("en")} characters` : "";
  later(value.length > LONG ? LONG_PAUSE_MS : PAUSE_MS);
}

/** Copy the text into the mirror, whose height determines that of the field. */
function measure() {
  const huge = source.value.length > HUGE;
  source.parentElement.classList.toggle("huge", huge);
  links.forget();
  $("mirror").textContent = huge ? "" : `${source.value}\n`;
}

/** Translate after `pause` ms without another call, and cancel the request in flight. */
function later(pause) {
  clearTimeout(timer);
  running?.abort();
  running = null;
  notice.pause();
  busy(false);
  stale(true);
  timer = setTimeout(translate, pause);
}

// Translating

async function translate() {
  const text = source.value;
  const model = models.chosen;
  if (!text.trim() || !model) {
    nothing();
    if (text.trim()) await connect();
    return;
  }
  const controller = new AbortController();
  running = controller;
  const began = performance.now();
  busy(true);
  try {
    const { path, body } = asked(model, text);
    const answer = await generate(path, body, { key, signal: controller.signal, onText: partly });
    done(text, answer, performance.now() - began);
  } catch (error) {
    if (controller.signal.aborted) return;
    failed(error);
  } finally {
    if (running === controller) {
      running = null;
      busy(false);
    }
  }
}

function asked(model, text) {
  const wanted = ["scores", "tokens", "alignment"];
  if ($("attention").open) wanted.push("attention");
  const body = { text, model: model.name, options: options.values, return: wanted };
  if (model.task !== "summarize") return { path: "v1/translate", body };
  return { path: "v1/summarize", body: onLong ? { ...body, on_long: onLong } : body };
}

function partly(text) {
  links.forget();
  output.style.minHeight ||= `${output.offsetHeight}px`; // keeps what is below in place
  output.classList.remove("stale");
  output.classList.add("partial");
  output.textContent = text;
  remarks.show([]); // they belong to the previous answer
}

function done(text, answer, took) {
  notice.clear();
  const [best] = answer.translations ?? answer.summaries;
  hypotheses = [best, ...(best.alternatives ?? [])].map((found) => ({
    ...found,
    text: found.translation ?? found.summary,
    source_pieces: best.source_pieces,
    truncated_source: best.truncated_source,
  }));
  shownText = text;
  alternatives.show(hypotheses);
  look(0);
  $("timing").textContent = `${(took / 1000).toFixed(2)} s`;
  $("spoken").textContent = hypotheses[0].text; // once, not with every partial result
}

function failed(error) {
  stale(true);
  output.classList.remove("partial");
  if (error.status === 404) models.show([]); // the model is gone: a retry lists the models again
  if (error instanceof Refused || error instanceof Unreachable) {
    notice.show(error);
  } else {
    console.error(error);
    notice.show(new Unreachable("This page did not understand the answer of the server."));
  }
}

/** Show the hypothesis `place`, its links and its attention. */
function look(place) {
  const found = hypotheses[place];
  fresh();
  links.show(shownText, found.text, found.word_alignment);
  remarks.show(remarksOn(found, models.chosen?.task));
  $("copy").hidden = !found.text;
  if (found.attention?.length && found.pieces && found.source_pieces) {
    heat.show(found.attention, found.pieces, found.source_pieces);
  } else if (!$("attention").open) {
    heat.clear("");
  } else {
    heat.clear("There is a heat map for a text that the model reads in one piece: try a sentence.");
  }
}

function nothing() {
  hypotheses = [];
  links.forget();
  output.replaceChildren();
  fresh();
  alternatives.show([{ text: "" }]);
  heat.clear("Type a text, and this shows where the model looked for each piece.");
  remarks.show([]);
  $("copy").hidden = true;
  for (const id of ["timing", "spoken"]) $(id).textContent = "";
}

/** Mark the shown result as outdated, or as current again. */
function stale(is) {
  for (const id of ["output", "remarks", "alternatives", "attention-body"]) {
    $(id).classList.toggle("stale", is);
  }
  if (is) $("timing").textContent = "";
}

function fresh() {
  stale(false);
  output.classList.remove("partial");
  output.style.minHeight = "";
}

function busy(is) {
  $("spread").classList.toggle("busy", is);
  output.setAttribute("aria-busy", String(is));
}

// The server

async function connect() {
  notice.pause();
  try {
    const before = models.chosen;
    models.show(await listModels(key));
    const same = ["name", "digest", "task", "source", "target"];
    if (same.some((name) => models.chosen?.[name] !== before?.[name])) adoptModel();
  } catch (error) {
    failed(error);
    return;
  }
  notice.clear();
  if (source.value.trim() && models.chosen) later(0);
}

function adoptModel() {
  const model = models.chosen;
  if (!model) return;
  const summary = model.task === "summarize";
  const answer = summary ? "Summary" : "Translation";
  $("source-name").textContent = language(model.source) ?? "Text";
  $("target-name").textContent = summary ? answer : (language(model.target) ?? answer);
  $("n-best-name").textContent = summary ? "Summaries" : "Translations";
  $("route").textContent = `POST /${asked(model, "").path}`;
  output.dataset.empty = `The ${answer.toLowerCase()} appears here`;
  output.ariaLabel = `${answer}, word by word: arrow keys move, Enter holds the link`;
  source.lang = model.source ?? "";
  output.lang = model.target ?? "";
  options.adopt(model);
}

// Buttons

source.addEventListener("input", (event) => {
  if (event.isComposing) measure();
  else typed();
});
source.addEventListener("compositionend", typed);

$("clear").addEventListener("click", () => {
  source.value = "";
  typed();
  source.focus();
});

$("copy").addEventListener("click", async () => {
  const button = $("copy");
  try {
    await navigator.clipboard.writeText(output.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(output); // not allowed, or no https: Ctrl-C does it
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 1500);
});

$("key-panel").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  $("key-panel").hidePopover();
  $("key-button").classList.toggle("given", Boolean(key));
  connect();
});

$("attention").addEventListener("toggle", () => {
  if ($("attention").open && source.value.trim() && !hypotheses[0]?.attention) later(0);
});

typed();
connect();
