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

/** Fill `element` with `text`, each word in a span; returns the spans. */
export function fill(element, text, dress = () => {}) {
  const { words, after } = split(text);
  const spans = words.map(({ word }, i) => {
    const span = document.createElement("span");
    span.className = "word";
    span.textContent = word;
    dress(span, i);
    return span;
  });
  element.replaceChildren(...words.flatMap(({ before }, i) => [before, spans[i]]), after);
  return spans;
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
