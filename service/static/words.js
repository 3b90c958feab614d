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
 * Fill `element` with `text`, which `words` and `after` make up: each range of words of `sentences`
 * in a span, and in it each word whose number `isPart`. Returns the spans, { sentences, words }; in
 * the place of other words stands nothing.
 */
export function fill(element, { words, after }, sentences, isPart) {
  const made = { sentences: [], words: new Array(words.length) };
  const nodes = [];
  for (const [first, end] of sentences) {
    const sentence = span("sentence");
    let plain = ""; // in one node, however many words
    for (let i = first; i < end; i++) {
      const { before, word } = words[i];
      if (i > first) plain += before;
      if (isPart(i)) {
        made.words[i] = span("word", word);
        sentence.append(plain, made.words[i]);
        plain = "";
      } else plain += word;
    }
    sentence.append(plain);
    nodes.push(words[first].before, sentence);
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
