// Places: parts of the text, as the server counts them and as this page does.

/**
 * Places of the server, lists of [start, end) in code points of `text`, as places in the UTF-16
 * units that strings count here, in which a character beyond U+FFFF takes two.
 */
export function inUnits(text, lists) {
  const wide = [...text.matchAll(/[\u{10000}-\u{10ffff}]/gu)].map(({ index }, i) => index - i);
  if (!wide.length) return lists;
  const unit = (point) => point + countBelow(wide, point);
  return lists.map((places) => places.map(([start, end]) => [unit(start), unit(end)]));
}

/**
 * `words` (see `split`), divided where one of `places` begins or ends within them. Returns the parts,
 * which are like words, and for each word, and after the last, the number of its first part.
 */
export function divided(words, places) {
  const borders = [...new Set(places.flat())].sort((a, b) => a - b);
  const parts = [];
  const firsts = [];
  let i = 0;
  for (const { before, word, start } of words) {
    firsts.push(parts.length);
    const end = start + word.length;
    while (borders[i] <= start) i++;
    let at = start;
    for (; borders[i] < end; i++) {
      parts.push({ before: at === start ? before : "", word: word.slice(at - start, borders[i] - start), start: at });
      at = borders[i];
    }
    parts.push({ before: at === start ? before : "", word: word.slice(at - start), start: at });
  }
  return { parts, firsts: [...firsts, parts.length] };
}

/** The numbers of the `parts` that lie within one of `places`, in order. */
export function within(parts, places) {
  const starts = parts.map(({ start }) => start);
  return places.flatMap(([start, end]) => {
    const first = countBelow(starts, start);
    return Array.from({ length: countBelow(starts, end) - first }, (_, i) => first + i);
  });
}

/** How many of `sorted` numbers are below `limit`. */
function countBelow(sorted, limit) {
  let low = 0;
  for (let high = sorted.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
