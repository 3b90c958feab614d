// The page: translates what is typed and shows the result.

import { describe } from "./about.js";
import { Alternatives } from "./alternatives.js";
import { generate, listModels, Refused, trace, transduce, Unreachable, waysWithLongTexts } from "./api.js";
import { copies } from "./copy.js";
import { HeatMap } from "./heatmap.js";
import { Inside } from "./inside.js";
import { language } from "./languages.js";
import { Length } from "./length.js";
import { Lines } from "./lines.js";
import { Links, Thread } from "./links.js";
import { LongInput } from "./long_input.js";
import { Models } from "./models.js";
import { Notice, words } from "./notice.js";
import { NumberTable } from "./number_table.js";
import { Options } from "./options.js";
import { Partial } from "./partial.js";
import { inUnits } from "./places.js";
import { Plot } from "./plot.js";
import { INCOMPLETE, Remarks, remarksOn } from "./remarks.js";
import { Together } from "./scrolling.js";
import { SentenceAlternatives } from "./sentence_alternatives.js";
import { paired, part, replaced, sentencesOf } from "./sentences.js";
import { Sequences } from "./sequences.js";
import { keep, recall } from "./session.js";
import { SymbolLinks } from "./symbol_links.js";
import { Vectors } from "./vectors.js";
import { split } from "./words.js";

const PAUSE_MS = 280; // pause in typing after which a text is sent
const LONG_PAUSE_MS = 900; // the same for a text with more characters than this:
const LONG = 2000;
const MEASURE_MS = 100; // that a long text may wait to be measured
const HUGE = 100_000; // characters beyond which the text field scrolls by itself, without a mirror
const SIZES = [[250, "large"], [1000, "medium"], [Infinity, "small"]]; // of type, by characters
const OF_A_SENTENCE = "Type a sentence, and this shows what each layer made of it.";
const MOST_SPOKEN = 1000; // characters of an answer that a screen reader is told by itself

const $ = (id) => document.getElementById(id);
const source = $("source");
const output = $("output");

let key = ""; // kept only here, so a page reload forgets it
let timer = 0;
let measuring = null; // the timer of `measure`
let running = null; // the AbortController of the request in flight
let connecting = 0; // requests for the list of models in flight
let hypotheses = []; // of the text, or of the sentence of the cursor if it has several
let shown = empty(""); // the answer on the page, and the text that it belongs to
let current = -1; // the number of the sentence of the cursor; -1 if the text is a single one

const thread = new Thread($("threads"), [$("source-sheet"), $("target-sheet")]);
const links = new Links({
  source,
  mirror: $("mirror"),
  pane: $("source-sheet"),
  output,
  caption: $("caption"),
  thread,
  onSentence: (place) => {
    if (current >= 0 && place !== current) attend(place);
  },
});
const together = new Together($("source-sheet"), $("target-sheet"));
const heat = new HeatMap({
  empty: $("attention-empty"),
  body: $("attention-body"),
  table: $("heat"),
  readout: $("heat-readout"),
  list: $("heat-list"),
});
const inside = new Inside({
  empty: $("inside-empty"),
  body: $("inside-body"),
  layers: $("inside-layer"),
  values: $("inside-value"),
  note: $("inside-note"),
  table: $("inside-table"),
  ask: askForTrace,
  explain: (error) => words(understood(error)),
});
const remarks = new Remarks($("remarks"));
const alternatives = new Alternatives({
  section: $("alternatives"),
  list: $("alternatives-list"),
  of: $("alternatives-of"),
  status: $("alternatives-status"),
  error: $("alternatives-error"),
  again: $("alternatives-again"),
  onChoose: (place) => {
    if (sequences.on) return sequences.writer.choose(place);
    if (shown.text !== source.value) return; // another translation is on its way
    if (current < 0) look(place);
    else exchange(place);
  },
  onAgain: () => attend(current),
});
const sentenceAlternatives = new SentenceAlternatives({
  ask: askForSentence,
  onWait: (sentence) => alternatives.expect(sentence),
  onFound: (sentence, found) => {
    hypotheses = found;
    const now = part(shown.translation, shown.pairs[current].to);
    const place = found.findIndex(({ text }) => text === now);
    alternatives.show(found, place, sentence);
    showAttention(found[Math.max(place, 0)]);
  },
  onFailed: (sentence, error) => alternatives.fail(sentence, words(understood(error))),
});
const models = new Models({
  lists: $("languages"),
  fixed: $("fixed"),
  from: $("from"),
  to: $("to"),
  swap: $("swap"),
  model: $("model"),
  onChange: () => {
    keep("model", models.chosen.name);
    adoptModel();
    later(0);
  },
  onSwap: () => {
    if (!shown.translation || shown.text !== source.value) return;
    source.value = shown.translation;
    typed();
  },
});
const options = new Options({
  beam: $("beam"),
  nBest: $("n-best"),
  alpha: $("alpha"),
  sentences: $("sentences"),
  sentencesField: $("sentences-field"),
  reset: $("reset"),
  onChange: (state) => {
    keep("options", state);
    later(PAUSE_MS);
  },
});
const length = new Length({
  row: $("length"),
  chosen: $("length-chosen"),
  slider: $("length-slider"),
  words: $("length-words"),
  onChange: (state) => {
    keep("length", state);
    later(PAUSE_MS);
  },
});
const longInput = new LongInput({
  field: $("long-field"),
  select: $("long"),
  onChange: () => later(0),
});
const line = {
  output: $("symbols"),
  links: new SymbolLinks({
    figure: $("links-figure"),
    source: $("source-symbols"),
    target: $("target-symbols"),
    all: new Thread($("links-all"), [$("links-figure")], () => true),
    lit: new Thread($("links-lit"), [$("links-figure")], () => true),
    caption: $("links-caption"),
  }),
  alternatives,
  heat,
  attention: $("attention"),
  remarks: new Remarks($("answer-remarks")),
  options,
};
const symbols = new Lines({
  ...line,
  name: "Symbols",
  field: "symbols",
  placeholder: "Type a line of symbols, written as in the training data",
});
const pieces = new Lines({ ...line, name: "Text", field: "text", placeholder: "Type a line of text" });
const vectors = new Vectors({
  region: $("numbers"),
  table: new NumberTable($("numbers-table")),
  figure: $("plot-figure"),
  plot: new Plot({ box: $("plot"), readout: $("plot-readout") }),
  remarks: new Remarks($("answer-remarks")),
});
const sequences = new Sequences({
  spread: $("sequences"),
  field: $("sequence"),
  name: $("sequence-name"),
  count: $("sequence-count"),
  clear: $("sequence-clear"),
  copy: $("answer-copy"),
  output: ["symbols", "numbers", "answer-remarks", "links-figure", "plot-figure", "alternatives", "attention-body"].map($),
  spoken: $("answer-spoken"),
  timing: $("answer-timing"),
  views: { symbols, vectors, pieces },
  ask: (body, signal) => transduce(body, { key, signal }),
  onInput: (text) => {
    notice.clear();
    later(text.length > LONG ? LONG_PAUSE_MS : PAUSE_MS);
  },
});
const notice = new Notice({
  box: $("notice"),
  places: {
    source: $("source-notice"),
    target: $("target-notice"),
    sequence: $("sequence-notice"),
    options: $("options-notice"),
  },
  text: $("notice-text"),
  wait: $("notice-wait"),
  button: $("notice-button"),
  choices: $("notice-choices"),
  ways: () => longInput.ways,
  onRetry: () => (models.chosen ? later(0) : connect()),
  onKey: () => $("key-panel").showPopover(),
  onLong: (way) => {
    longInput.choose(way);
    later(0);
  },
});

// Typing

function typed() {
  const { value } = source;
  notice.clear();
  links.forget();
  // Each takes a while with a long text, which may come as hundreds of events.
  if (value.length <= LONG) measure();
  else measuring ??= setTimeout(measure, MEASURE_MS);
  if (!value) longInput.forget();
  $("clear").hidden = !value;
  $("count").textContent = value ? `${value.length.toLocaleString("en")} characters` : "";
  later(value.length > LONG ? LONG_PAUSE_MS : PAUSE_MS);
}

/** Keep the text, and copy it into the mirror, whose height determines that of the field. */
function measure() {
  clearTimeout(measuring);
  measuring = null;
  keep("text", source.value || null);
  length.measure(source.value);
  const huge = source.value.length > HUGE;
  const top = $("source-sheet").scrollTop;
  if ($("source-sheet").classList.toggle("huge", huge) && top) source.scrollTop = top;
  links.forget();
  $("mirror").textContent = huge ? "" : `${source.value}\n`;
  resize($("source-sheet"), source.value);
}

/** Set the type of `sheet` in a size for `text`. */
function resize(sheet, text) {
  sheet.dataset.size = SIZES.find(([most]) => text.length <= most)[1];
}

/** Set the type of `answer` in its size: a translation in that of its text, to be read beside it. */
function resizeAnswer(answer, text) {
  resize($("target-sheet"), models.chosen?.task === "summarize" ? answer : text);
}

/** Answer after `pause` ms without another call, and cancel the request in flight. */
function later(pause) {
  clearTimeout(timer);
  running?.abort();
  running = null;
  sentenceAlternatives.forget();
  inside.forget();
  notice.pause();
  busy(false);
  stale(true);
  timer = setTimeout(answer, pause);
}

// Answering

async function answer() {
  if (measuring) measure();
  if (blank() || !models.chosen) {
    nothing();
    if (!blank() && !connecting) await connect(); // else it is answered when they are there
    return;
  }
  const partial = new Partial(partly);
  const controller = new AbortController();
  running = controller;
  const began = performance.now();
  busy(true);
  try {
    if (sequences.on) await sequences.answer(controller.signal);
    else await translate(controller.signal, partial);
    notice.clear();
    const timing = sequences.on ? $("answer-timing") : $("timing");
    timing.textContent = `${((performance.now() - began) / 1000).toFixed(2)} s`;
  } catch (error) {
    if (controller.signal.aborted) return;
    failed(error, partial.end());
  } finally {
    partial.end();
    if (running === controller) {
      running = null;
      busy(false);
    }
  }
}

/** Whether there is nothing to answer. */
function blank() {
  return sequences.on ? sequences.blank : !source.value.trim();
}

async function translate(signal, partial) {
  const text = source.value;
  const model = models.chosen;
  const sentences = model.task === "summarize" ? [] : sentencesOf(text, model.source);
  const { path, body } = asked(model, text, sentences.length > 1);
  const onText = (found) => partial.add(found);
  const found = await generate(path, body, { key, signal, onText });
  partial.end();
  done(text, found, sentences);
}

/** The request for a text. Of several sentences, each has its alternatives asked for by itself. */
function asked(model, text, several) {
  const wanted = several ? ["alignment"] : ["scores", "tokens", "alignment"];
  if ($("attention").open && !several) wanted.push("attention");
  const search = { ...options.values, ...length.values };
  if (several) search.n_best = 1;
  const body = { text, model: model.name, options: search, return: wanted };
  if (model.task !== "summarize") return { path: "v1/translate", body };
  return { path: "v1/summarize", body: { ...body, ...longInput.values } };
}

async function askForSentence(sentence, signal) {
  const { path, body } = asked(models.chosen, sentence, false);
  body.options.split_sentences = "never"; // it was cut out already
  return all(await generate(path, body, { key, signal, onText: () => {} }));
}

function askForTrace(sentence, signal) {
  const search = { ...options.values, ...length.values, n_best: 1 };
  if (current >= 0) search.split_sentences = "never"; // it was cut out already
  return trace({ text: sentence, model: models.chosen.name, options: search }, { key, signal });
}

/** Show what happens inside, of the sentence of the cursor if there are several. */
function peek() {
  if (!$("inside").open || !shown.translation || shown.text !== source.value) return;
  inside.want(current < 0 ? shown.text : part(shown.text, shown.pairs[current].from));
}

/** The hypotheses of an answer, the best first. */
function all(answer) {
  const [best] = answer.translations ?? answer.summaries;
  return [best, ...(best.alternatives ?? [])].map((found) => ({
    ...found,
    text: found.translation ?? found.summary,
    source_pieces: best.source_pieces,
    truncated_source: best.truncated_source,
    windows: best.windows,
    whole_source: best.whole_source,
  }));
}

function partly(text) {
  links.forget();
  resizeAnswer(text, source.value);
  output.style.minHeight ||= `${output.offsetHeight}px`; // keeps what is below in place
  output.classList.remove("stale");
  output.classList.add("partial");
  output.textContent = text;
  remarks.show([]); // they belong to the previous answer
  together.follow();
}

function done(text, answer, sentences) {
  hypotheses = all(answer);
  current = -1;
  const [best] = hypotheses;
  shown = { ...empty(text), sentences };
  if (sentences.length > 1) {
    shown = { ...shown, ...linked(best) };
    present(best.truncated, best);
    if (shown.pairs.length) attend(links.sentenceAtCaret);
    else alternatives.hide();
  } else {
    alternatives.show(hypotheses);
    look(0);
    peek();
  }
  const long = best.text.length > MOST_SPOKEN;
  $("spoken").textContent = long ? "The answer is there." : best.text; // once, not each partial one
}

/** Keep what had come of the answer, and say what went wrong beside what caused it. */
function failed(error, partial) {
  stale(true);
  if (partial !== null) broken(partial);
  if (error.status === 404) models.show([]); // the model is gone: a retry lists the models again
  const known = understood(error);
  const ofLength = /^(?:options\.)?(?:ratio|(?:min|max)_words):/.test(known.message);
  const ofOptions = !ofLength && known.message.startsWith("options");
  if (ofOptions) $("options").open = true;
  const given = sequences.on ? "sequence" : "source";
  const place = partial !== null || ofLength ? "target" : ofOptions ? "options" : given;
  notice.show(known, place, sequences.on ? "sequence" : "text");
}

/** Show the beginning of an answer whose end did not come. */
function broken(partial) {
  partly(partial);
  fresh();
  hypotheses = [];
  current = -1;
  shown = { ...empty(source.value), translation: partial };
  alternatives.hide();
  heat.clear("");
  remarks.show([INCOMPLETE]);
  $("copy").hidden = !partial;
}

function understood(error) {
  if (error instanceof Refused || error instanceof Unreachable) return error;
  console.error(error);
  return new Unreachable("This page did not understand the answer of the server.");
}

// Showing

function empty(text) {
  return { text, translation: "", alignment: [], places: [], pairs: [], sentences: [] };
}

/** A hypothesis of the whole text with its links; without pairs if they do not fit. */
function linked({ text, word_alignment: alignment = [], word_sources: sources = [] }) {
  const count = split(text).words.length;
  const last = split(shown.text).words.length;
  const fits = count > 0 && sources.length === count;
  let pairs = fits ? [{ from: [0, last], to: [0, count] }] : [];
  if (shown.sentences.length > 1) {
    const within = alignment.every((place) => place < last);
    pairs = fits && within ? paired(shown.sentences, alignment) : [];
  }
  return { translation: text, alignment, places: inUnits(shown.text, sources), pairs };
}

/** Bring what is `shown` onto the page. */
function present(truncated, found) {
  fresh();
  resizeAnswer(shown.translation, shown.text);
  const summary = models.chosen?.task === "summarize";
  if (summary) readable();
  links.show(shown.text, shown, summary);
  remarks.show(remarksOn({ ...found, truncated }, models.chosen?.task));
  $("copy").hidden = !shown.translation;
  together.follow();
}

/** Let a huge text scroll with its mirror from now on, so that places in it can be shown. */
function readable() {
  const sheet = $("source-sheet");
  if (!sheet.classList.contains("huge")) return;
  const top = source.scrollTop;
  sheet.classList.remove("huge");
  $("mirror").textContent = `${source.value}\n`;
  sheet.scrollTop = top;
}

/** Show hypothesis `place` of a text of one sentence, its links and its attention. */
function look(place) {
  const found = hypotheses[place];
  shown = { ...shown, ...linked(found) };
  present(found.truncated, found);
  showAttention(found);
}

/** Attend to sentence `place`: mark it, and find its alternatives. */
function attend(place) {
  current = place;
  links.mark(place);
  sentenceAlternatives.want(part(shown.text, shown.pairs[place].from));
  peek();
}

/** Put hypothesis `place` into the translation, as its current sentence. */
function exchange(place) {
  const found = hypotheses[place];
  const sentence = part(shown.text, shown.pairs[current].from);
  const own = {
    text: found.text,
    alignment: found.word_alignment,
    places: inUnits(sentence, found.word_sources),
  };
  shown = { ...shown, ...replaced(shown, current, own) };
  fresh();
  links.show(shown.text, shown, false);
  links.mark(current);
  showAttention(found);
}

function showAttention(found) {
  if (found.attention?.length && found.pieces && found.source_pieces) {
    heat.show(found.attention, found.pieces, found.source_pieces);
  } else if (!$("attention").open) {
    heat.clear("");
  } else {
    heat.clear("There is a heat map for a text that the model reads in one piece: try a sentence.");
  }
}

function nothing() {
  if (sequences.on) return sequences.forget();
  hypotheses = [];
  current = -1;
  shown = empty("");
  links.forget();
  output.replaceChildren();
  resize($("target-sheet"), "");
  fresh();
  alternatives.hide();
  heat.clear("Type a text, and this shows where the model looked for each piece.");
  inside.clear(OF_A_SENTENCE);
  remarks.show([]);
  $("copy").hidden = true;
  for (const id of ["timing", "spoken"]) $(id).textContent = "";
}

/** Mark the shown result as outdated, or as current again. */
function stale(is) {
  if (sequences.on) return sequences.stale(is);
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
  for (const id of ["spread", "sequences"]) $(id).classList.toggle("busy", is);
  $("symbols").setAttribute("aria-busy", String(is));
  output.setAttribute("aria-busy", String(is));
}

// The server

/** List the models and answer what is there. Returns the error, or null. */
async function connect() {
  notice.pause();
  connecting++;
  try {
    const before = models.chosen;
    models.show(await listModels(key), before?.name ?? recall("model"));
    const same = ["name", "digest", "task", "source", "target", "source_kind", "target_kind", "width"];
    if (same.some((name) => models.chosen?.[name] !== before?.[name])) adoptModel();
  } catch (error) {
    failed(error, null);
    return error;
  } finally {
    connecting--;
  }
  notice.clear();
  if (!blank() && models.chosen) later(0);
  return null;
}

function adoptModel() {
  const model = models.chosen;
  if (!model) return;
  adoptTask(model);
  const summary = model.task === "summarize";
  const answer = summary ? "Summary" : "Translation";
  $("source-name").textContent = language(model.source) ?? "Text";
  $("target-name").textContent = summary ? answer : (language(model.target) ?? answer);
  $("n-best-name").textContent = sequences.on ? "Answers" : summary ? "Summaries" : "Translations";
  $("route").textContent = `POST /v1/${model.task}`;
  output.dataset.empty = `The ${answer.toLowerCase()} appears here`;
  output.ariaLabel = `${answer}, word by word: arrow keys move, Enter holds the link`;
  source.lang = model.source ?? "";
  output.lang = model.target ?? "";
  options.adopt(model, recall("options"));
  length.adopt(model, recall("length"));
  length.measure(source.value);
  longInput.adopt(model);
  together.off = summary;
  if (summary) learnWays();
  describe(model, { facts: $("about-facts"), defaults: $("about-defaults"), card: $("about-card") });
}

/** Show the parts of the page that mean something for `model`. */
function adoptTask(model) {
  const held = [source, $("sequence")].includes(document.activeElement);
  if (sequences.on !== (model.task === "transduce")) {
    running?.abort();
    nothing();
  }
  sequences.adopt(model);
  const searches = !sequences.on || model.target_kind !== "vectors";
  $("spread").hidden = $("inside").hidden = sequences.on;
  $("options").hidden = $("attention").hidden = $("about-search").hidden = !searches;
  $("heat-joined").hidden = sequences.on;
  $("alternatives-name").textContent = sequences.on ? "Best answers" : "Ways to say it";
  $("alternatives-chosen").textContent = sequences.on ? "is shown with its links" : "goes into the answer";
  $("skip").href = sequences.on ? "#sequence" : "#source";
  const field = sequences.on ? $("sequence") : source;
  if (held && document.activeElement !== field) field.focus();
}

/** Offer what this server can do with long texts; if it does not say, what all can. */
async function learnWays() {
  try {
    longInput.allow(await waysWithLongTexts());
    notice.refresh();
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Unreachable)) console.error(error);
  }
}

// Buttons

source.addEventListener("input", (event) => {
  if (event.isComposing) measure();
  else typed();
});
source.addEventListener("compositionend", typed);
addEventListener("pagehide", () => {
  if (measuring) measure();
});

$("clear").addEventListener("click", () => {
  source.value = "";
  typed();
  source.focus();
});

copies($("copy"), () => output.textContent, output);
copies($("answer-copy"), () => sequences.copied, $("symbols").parentElement);

$("key-panel").addEventListener("submit", async (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  $("key-error").textContent = "";
  const error = await connect();
  $("key-button").classList.toggle("given", Boolean(key) && error?.status !== 401);
  if (error?.status === 401 && key) {
    $("key-error").textContent = "The server does not know this key. Check it for typing errors.";
  } else $("key-panel").hidePopover();
});

$("attention").addEventListener("toggle", () => {
  if (sequences.on) {
    if (!blank() && sequences.writer.lacksAttention) later(0);
    return;
  }
  if (!$("attention").open || !source.value.trim() || hypotheses[0]?.attention) return;
  if (current < 0) later(0);
  else {
    sentenceAlternatives.forget();
    attend(current);
  }
});

$("inside").addEventListener("toggle", peek);

source.value = recall("text") ?? source.value;
typed();
connect();
