// Sentences: which words of a text and which of its translation are one sentence.

import { split } from "./words.js";

/** The places in `text` at which a sentence begins, as its language says and at least at each line. */
function beginnings(text, language) {
  let segmenter;
  try {
    segmenter = new Intl.Segmenter(language || undefined, { granularity: "sentence" });
  } catch {
    return [...text.matchAll(/^/gm)].map(({ index }) => index); // no such language, or old browser
  }
  return [...segmenter.segment(text)].map(({ index }) => index);
}

/** For each sentence of `text`, [the number of its first word, that of the one after its last]. */
export function sentencesOf(text, language) {
  const { words } = split(text);
  const firsts = new Set();
  let i = 0;
  for (const begin of beginnings(text, language)) {
    while (i < words.length && words[i].start < begin) i++;
    if (i < words.length) firsts.add(i);
  }
  const ends = [...firsts, words.length].slice(1);
  return [...firsts].map((first, place) => [first, ends[place]]);
}

/**
 * Pair sentences with those of the translation: [{ from, to }], ranges of words. `alignment` has the
 * source word of each word of the translation. The server translates sentence by sentence, so that
 * no alignment crosses their borders; sentences between which one does are taken as one.
 */
export function paired(sentences, alignment) {
  const least = new Array(alignment.length + 1).fill(Infinity); // of the words from here on
  for (let j = alignment.length - 1; j >= 0; j--) least[j] = Math.min(least[j + 1], alignment[j]);
  const pairs = [];
  let first = 0; // the first words that are in no pair yet
  let next = 0;
  let end = 0;
  for (const [, border] of sentences) {
    while (end < alignment.length && alignment[end] < border) end++;
    if (end === next || least[end] < border) continue;
    pairs.push({ from: [first, border], to: [next, end] });
    first = border;
    next = end;
  }
  const last = sentences.at(-1)?.[1] ?? 0;
  if (pairs.length && first < last) pairs.at(-1).from[1] = last; // words that became nothing
  return pairs;
}

/** The part of `text` from its word number `first` to before number `end`. */
export function part(text, [first, end]) {
  const { words } = split(text);
  const last = words[end - 1];
  return text.slice(words[first].start, last.start + last.word.length);
}

/**
 * Put another translation of sentence `place` into `found`, { text, translation, alignment, places,
 * pairs }. `own` is its text, `alignment` and `places`, which belong to the sentence alone, so they
 * count from the sentence's first word.
 */
export function replaced({ text, translation, alignment, places, pairs }, place, own) {
  const { from, to } = pairs[place];
  const { start: begin } = split(text).words[from[0]];
  const { words } = split(translation);
  const last = words[to[1] - 1];
  const before = translation.slice(0, words[to[0]].start);
  const after = translation.slice(last.start + last.word.length);
  const shift = own.alignment.length - (to[1] - to[0]);
  const moved = pairs.slice(place + 1).map((pair) => ({
    from: pair.from,
    to: [pair.to[0] + shift, pair.to[1] + shift],
  }));
  return {
    translation: before + own.text + after,
    alignment: [
      ...alignment.slice(0, to[0]),
      ...own.alignment.map((word) => word + from[0]),
      ...alignment.slice(to[1]),
    ],
    places: [
      ...places.slice(0, to[0]),
      ...own.places.map((each) => each.map(([start, end]) => [start + begin, end + begin])),
      ...places.slice(to[1]),
    ],
    pairs: [...pairs.slice(0, place), { from, to: [to[0], to[1] + shift] }, ...moved],
  };
}
