// Words: what white space separates in a text, as the server counts them for `word_alignment`.

/** The words of `text` with what stands before each: [{ before, word }], and what stands after. */
export function split(text) {
  const words = [];
  let end = 0;
  for (const match of text.matchAll(/\S+/g)) {
    words.push({ before: text.slice(end, match.index), word: match[0], start: match.index });
    end = match.index + match[0].length;
  }
  return { words, after: text.slice(end) };
}

/**
 * Fill `element` with `text`: each range of words of `sentences` in a span, and in it each word if
 * `byWord`. Returns the spans, { sentences, words }.
 */
export function fill(element, text, sentences, byWord) {
  const { words, after } = split(text);
  const made = { sentences: [], words: [] };
  const nodes = [];
  for (const [first, end] of sentences) {
    const own = words.slice(first, end);
    const sentence = span("sentence");
    if (byWord) {
      for (const [i, { before, word }] of own.entries()) {
        made.words.push(span("word", word));
        sentence.append(i ? before : "", made.words.at(-1));
      }
    } else {
      const last = own.at(-1);
      sentence.textContent = text.slice(own[0].start, last.start + last.word.length);
    }
    nodes.push(own[0].before, sentence);
    made.sentences.push(sentence);
  }
  element.replaceChildren(...nodes, after);
  return made;
}

function span(name, text = "") {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}

/** For each word of `text` whether it is also, in the same order, in `other`. */
export function shared(text, other) {
  const a = split(text).words.map(({ word }) => word);
  const b = split(other).words.map(({ word }) => word);
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i][j] =
        a[i] === b[j]
          ? longest[i + 1][j + 1] + 1
          : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const common = new Array(a.length).fill(false);
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      common[i] = true;
      i++;
      j++;
    } else if (longest[i + 1][j] >= longest[i][j + 1]) i++;
    else j++;
  }
  return common;
}
