"""Rules: options that not every search uses, for the sentences of a lane that do.

Sentences without such options never get here. For the others the search passes in their rows of
log-probabilities, and the rules decide which candidates they keep. All rows with the same feature
are processed together; the result of a sentence does not depend on the others, because every sum
here is over one hypothesis, in a fixed order.

In each step, in this order: `extractive: names`, `avoid`, `no_repeat_ngram`, the limits of words
and the other kinds of `extractive` forbid pieces, `prefix` prescribes them, candidates are chosen
(by beam, samples, groups or constraints), and the score is extended.
"""

# Shapes: M sentences with rules, N slots, K hypotheses, V vocabulary, S source length with EOS,
# T target length with EOS, P pieces of constraints.

from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from model.decoding.automaton import Automaton, forbid_completions
from model.decoding.beam_search import Candidates, best_candidates
from model.decoding.request import Request
from model.decoding.rules.constraints import (
    ConstraintProgress,
    Constraints,
    advance,
    constrained_candidates,
    expected,
)
from model.decoding.rules.extraction import (
    SourceWords,
    WordsTaken,
    keep_extracts,
    rows_of,
    writable,
)
from model.decoding.rules.penalties import (
    coverage,
    diverse_candidates,
    forbid_repetition,
    reward_bound,
)
from model.decoding.rules.rules_state import allocate_rules
from model.decoding.rules.sampling import draws, keep_probable, sample, sampled_candidates
from model.decoding.rules.word_limits import (
    PieceWords,
    WordProgress,
    end_last_word,
    limit_words,
)
from model.decoding.sentence import Ruled, Sentence, limits_words
from model.decoding.source_names import NEVER, NEW, NameTable, SourceNames
from model.text.tokenizer import EOS_ID

Avoid = Callable[[], Automaton]

UNLIMITED = 2**31  # words, more than any hypothesis has


class Rules:
    """The state of the sentences with rules in one lane, and its steps."""

    def __init__(
        self,
        *,
        slots: int,
        beam_size: int,
        steps: int,
        source: int,
        continues: Tensor,
        words: PieceWords,
    ) -> None:
        """Allocate for `slots` sentences of `source` pieces and `steps` outputs, both with EOS.

        `continues` (V,) bool tells which pieces continue the word before them for constraints,
        `words` how many words a piece begins.
        """
        self._continues, self._words, self._beam_size = continues, words, beam_size

        self._state, self._held = allocate_rules(slots, beam_size, steps, source, continues.device)
        self._place = torch.arange(beam_size, device=continues.device)
        self._automata: WeakKeyDictionary[Avoid, Automaton] = WeakKeyDictionary()

    def admit(self, slot: int, sentence: Sentence) -> None:
        """Begin a sentence in `slot`."""
        request, limit, held = sentence.request, sentence.limit, self._held
        for field in (*self._state, held.closed):
            field[slot] = 0
        if request.options.temperature:
            numbers = draws(request.options.seed, request.src, limit + 1, self._beam_size)
            held.draw[slot, : limit + 1] = numbers
        if request.constraints:
            new = Constraints.of(request.constraints)
            held.places[slot] = torch.stack([new.piece, new.depth, new.end])
            held.bits[slot] = torch.stack([new.starts, new.ends])
        if request.source_words is not None:
            words = SourceWords.of(request.source_words, held.words.shape[2], request.source_signs)
            held.words[slot] = torch.stack(words)
        if request.avoid is not None and request.avoid not in self._automata:
            self._automata[request.avoid] = request.avoid().to(self._continues.device)

    def move(self, source: int, target: int) -> None:
        """Move the state of slot `source` to slot `target`."""
        for field in (*self._state, *self._held):
            field[target] = field[source]

    def choose(
        self, ruled: Ruled, log_probs: Tensor, end: Tensor, alive: Tensor, finished: Tensor
    ) -> Candidates:
        """The candidates (M, K) that these sentences keep, -inf where no place is left.

        Args:
            log_probs: (M, K, V) fp32 of the next piece, -inf where no search allows it; changed.
            end: (M, K) those of EOS, even where it is forbidden.
            alive: (M, K) log-probabilities so far.
            finished: (M,) hypotheses finished so far.
        """
        self._forbid(ruled, log_probs, end)
        found: list[tuple[list[int], Candidates]] = []
        for choose in (_by_beam, self._by_sampling, self._by_groups, self._by_constraints):
            found += choose(ruled, log_probs, alive)
        order = torch.tensor([row for rows, _ in found for row in rows], device=alive.device)
        parts = zip(*(chosen for _, chosen in found), strict=True)
        chosen = Candidates(*(torch.cat(part)[order.argsort()] for part in parts))
        free = (self._beam_size - finished).unsqueeze(1)
        for rows in ruled.groups(_groups).values():
            free[rows] = self._beam_size  # their places are counted group by group
        return chosen._replace(
            log_prob=chosen.log_prob.masked_fill(self._place >= free, -torch.inf)
        )

    def follow(self, ruled: Ruled, chosen: Candidates, weights: Tensor) -> None:
        """Update the state for the `chosen` hypotheses (M, K).

        `weights` (M, K, S) is the attention of the hypotheses before the step.
        """
        state, parent, piece = self._state, chosen.parent, chosen.piece
        for groups, rows in ruled.groups(_groups).items():
            ended = (piece[rows] == EOS_ID) & (chosen.log_prob[rows] > -torch.inf)
            count = ended.view(len(rows), groups, -1).sum(dim=2)
            self._held.closed[ruled.slots_of(rows), :groups] += count
        if rows := ruled.rows(lambda request: request.options.no_repeat_ngram):
            slots, lengths = ruled.slots_of(rows), [ruled.sentences[row].length for row in rows]
            old = state.sequence[slots, :, : max(lengths) + 1]
            new = old.gather(1, parent[rows].unsqueeze(2).expand_as(old))
            new[list(range(len(rows))), :, lengths] = piece[rows]
            state.sequence[slots, :, : max(lengths) + 1] = new
        if rows := ruled.rows(lambda request: request.options.coverage_beta):
            slots, width = ruled.slots_of(rows), weights.shape[2]
            total = state.attended[slots, :, :width] + weights[rows].float()
            index = parent[rows].unsqueeze(2).expand_as(total)
            state.attended[slots, :, :width] = total.gather(1, index)
        for avoid, rows in ruled.groups(lambda s: s.request.avoid).items():
            slots, following = ruled.slots_of(rows), self._automata[avoid].following
            old = state.avoiding[slots].gather(1, parent[rows])
            reached = following[old, piece[rows]].long()
            state.avoiding[slots] = reached.clamp(min=0)  # below 0 only where no place is left
        if rows := ruled.rows(lambda request: request.constraints):
            slots, (constraints, before) = ruled.slots_of(rows), self._progress(ruled, rows)
            before = ConstraintProgress(*(field.gather(1, parent[rows]) for field in before))
            after = advance(constraints, before, piece[rows], self._continues)
            state.partial[slots], state.met[slots] = after
        if rows := ruled.rows(limits_words):
            slots = ruled.slots_of(rows)
            progress = WordProgress(
                state.begun[slots].gather(1, parent[rows]),
                state.inside[slots].gather(1, parent[rows]),
            )
            state.begun[slots], state.inside[slots] = progress.after(piece[rows], self._words)
        if rows := ruled.rows(_extracts):
            slots, (words, in_order, taken) = ruled.slots_of(rows), self._extracts(ruled, rows)
            taken = WordsTaken(*(field.gather(1, parent[rows]) for field in taken))
            taken = taken.after(words, in_order, piece[rows])
            state.passed[slots], state.node[slots] = taken
        self._follow_names(ruled, chosen)

    def extra_score(self, ruled: Ruled) -> Tensor:
        """The terms (M, K) added to the normalised log-probability of hypotheses that end now.

        Call it after `follow`.
        """
        rewards = [s.request.options.word_reward * (s.length + 1) for s in ruled.sentences]
        device = self._continues.device
        extra = torch.tensor(rewards, device=device).unsqueeze(1).repeat(1, self._beam_size)
        if rows := ruled.rows(lambda request: request.options.coverage_beta):
            requests = [ruled.sentences[row].request for row in rows]
            betas = torch.tensor([r.options.coverage_beta for r in requests], device=device)
            sources = torch.tensor([len(r.src) for r in requests], device=device)
            attended = self._state.attended[ruled.slots_of(rows)]
            extra[rows] += betas.unsqueeze(1) * coverage(attended, sources)
        return extra

    # Parts of a step

    def _follow_names(self, ruled: Ruled, chosen: Candidates) -> None:
        rows = ruled.rows(_takes_names)
        if not rows:
            return
        slots, names = ruled.slots_of(rows), self._names(ruled, rows)
        piece = chosen.piece[rows]
        old = self._state.naming[slots].gather(1, chosen.parent[rows])
        goes_on = (piece != EOS_ID) & (chosen.log_prob[rows] > -torch.inf)
        fields = torch.stack([old, piece, goes_on.long()], dim=2).tolist()
        # Where nothing goes on, the state is of no interest.
        new = [
            [(own.after(state, piece) or NEW) if going else NEW for state, piece, going in row]
            for own, row in zip(names, fields, strict=True)
        ]
        self._state.naming[slots] = torch.tensor(new, device=piece.device)

    def _forbid(self, ruled: Ruled, log_probs: Tensor, end: Tensor) -> None:
        """Forbid pieces, in `log_probs`, by all rules that do."""
        prescribed = {
            row: s.request.prefix[s.length]
            for row, s in enumerate(ruled.sentences)
            if s.length < len(s.request.prefix)
        }
        rows, pieces = list(prescribed), list(prescribed.values())
        kept = log_probs[rows, :, pieces] if rows else None
        naming = ruled.rows(_takes_names)
        open_names = self._forbid_other_names(ruled, naming, log_probs) if naming else None
        unruled = log_probs.clone() if (extracting := ruled.rows(_extracts)) else None
        for avoid, some in ruled.groups(lambda s: s.request.avoid).items():
            own, state = log_probs[some], self._state.avoiding[ruled.slots_of(some)]
            forbid_completions(own, self._automata[avoid], state)
            log_probs[some] = own
        self._forbid_repetition(ruled, log_probs)
        short = self._limit_words(ruled, log_probs, end)
        if unruled is not None:
            self._forbid_other_words(ruled, extracting, log_probs, unruled)
        # A hypothesis that cannot continue ends, unless it has too few words: then it is dropped.
        # So is one within a name, which only a shortlist can leave without a piece.
        stuck = log_probs.amax(dim=2).isneginf() & ~short
        if open_names is not None:
            row, place, named = open_names
            log_probs[row, place] = named
            stuck[row, place] = False
        log_probs[:, :, EOS_ID] = torch.where(stuck, end, log_probs[:, :, EOS_ID])
        if kept is not None:
            log_probs[rows] = -torch.inf
            log_probs[rows, :, pieces] = kept

    def _forbid_repetition(self, ruled: Ruled, log_probs: Tensor) -> None:
        for n, rows in ruled.groups(lambda s: s.request.options.no_repeat_ngram or None).items():
            lengths = [ruled.sentences[row].length for row in rows]
            sequence = self._state.sequence[ruled.slots_of(rows), :, : max(lengths)]
            own = log_probs[rows]
            forbid_repetition(own, sequence, torch.tensor(lengths, device=own.device), n)
            self._keep_demanded(ruled, rows, own, log_probs[rows])
            log_probs[rows] = own

    def _keep_demanded(
        self, ruled: Ruled, rows: list[int], log_probs: Tensor, before: Tensor
    ) -> None:
        """Give the pieces that a constraint demands, in `log_probs` of `rows`, the value `before`.

        A rule has forbidden pieces in between; both are (M, K, V).
        """
        constrained = [i for i, row in enumerate(rows) if ruled.sentences[row].request.constraints]
        if not constrained:
            return
        constraints, progress = self._progress(ruled, [rows[i] for i in constrained])
        piece, wanted = expected(constraints, progress)
        value = before[constrained].gather(2, piece).masked_fill(~wanted, -torch.inf)
        log_probs[constrained] = log_probs[constrained].scatter_reduce(2, piece, value, "amax")

    def _limit_words(self, ruled: Ruled, log_probs: Tensor, end: Tensor) -> Tensor:
        """Forbid by the limits of words; return which hypotheses (M, K) have too few of them.

        Samples are none of these: one that cannot continue has to end.
        """
        short = torch.zeros_like(end, dtype=torch.bool)
        # At the length limit only EOS is left, and nothing is to be forbidden.
        rows = ruled.rows_of(lambda s: limits_words(s.request) and s.length < s.limit)
        if not rows:
            return short
        slots, sentences = ruled.slots_of(rows), [ruled.sentences[row] for row in rows]
        numbers = [
            (
                s.request.min_words,
                s.request.max_words or UNLIMITED,
                s.limit - s.length - 1,
                s.request.options.temperature == 0,
            )
            for s in sentences
        ]
        least, most, room, searches = torch.tensor(numbers, device=end.device).unbind(1)
        progress = WordProgress(self._state.begun[slots], self._state.inside[slots])
        own = log_probs[rows]
        others = own.max(dim=2)  # EOS may be forbidden, though the model would end
        best = others.indices.masked_fill(end[rows] >= others.values, EOS_ID)
        limit_words(own, end[rows], self._words, progress, (least, most), room)
        limited = own.clone()
        end_last_word(own, best, self._words, progress, most)
        self._keep_demanded(ruled, rows, own, limited)
        log_probs[rows] = own
        short[rows] = (progress.begun < least.unsqueeze(1)) & searches.bool().unsqueeze(1)
        return short

    def _forbid_other_words(
        self, ruled: Ruled, rows: list[int], log_probs: Tensor, unruled: Tensor
    ) -> None:
        """Forbid what is no word of the source; `unruled` are `log_probs` before other rules."""
        words, in_order, taken = self._extracts(ruled, rows)
        room = [ruled.sentences[row].limit - ruled.sentences[row].length - 1 for row in rows]
        least = [ruled.sentences[row].request.min_words for row in rows]
        numbers = torch.tensor([room, least], device=log_probs.device)
        slots = ruled.slots_of(rows)
        # A word whose first piece is nothing but the space has begun, though it is not counted yet.
        uncounted = (taken.node != 0) & (self._state.inside[slots] == 0)
        missing = numbers[1].unsqueeze(1) - self._state.begun[slots] - uncounted.long()
        sentences = [ruled.sentences[row] for row in rows]
        enough = [one.length + 1 >= one.request.options.min_length for one in sentences]
        possible, complete = taken.possible(
            words,
            in_order,
            numbers[0],
            missing.clamp(min=0),
            torch.tensor(enough, device=log_probs.device),
        )
        for avoid, some in ruled.groups(lambda s: s.request.avoid).items():
            if both := [place for place, row in enumerate(rows) if row in some]:
                state = self._state.avoiding[ruled.slots_of([rows[place] for place in both])]
                own = SourceWords(*(field[both] for field in words))
                possible[both] &= writable(own, self._automata[avoid], state)
        index = words.piece.unsqueeze(1).expand_as(possible)
        own_log_probs = log_probs[rows]
        keep_extracts(own_log_probs, unruled[rows].gather(2, index), words, possible, complete)
        log_probs[rows] = own_log_probs

    def _forbid_other_names(
        self, ruled: Ruled, rows: list[int], log_probs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Forbid what makes a name that is none of the source's.

        Returns:
            The hypotheses that stand within a name, as row and place, and their log-probabilities
            (V) before other rules: a name is completed.
        """
        slots, names = ruled.slots_of(rows), self._names(ruled, rows)
        states, device = self._state.naming[slots].tolist(), log_probs.device
        sentences = [ruled.sentences[row] for row in rows]
        numbers = [(s.limit - s.length - 1, s.request.min_words) for s in sentences]
        room, least = torch.tensor(numbers, device=device).unsqueeze(2).unbind(1)
        missing = (least - self._state.begun[slots]).clamp(min=0)  # each takes a piece or more
        table = NameTable.of(names, states, (room - missing).tolist(), device)
        need = self._need_without_phrases(ruled, rows, names, states, table)
        inside = self._state.inside[slots].flatten()[table.hypothesis]
        behind = missing.flatten()[table.hypothesis] - self._words.begun[inside, table.piece]
        owner = table.hypothesis // self._beam_size
        possible = (need == 0) | (need + behind.clamp(min=0) <= room[owner, 0])
        own = log_probs if len(rows) == len(log_probs) else log_probs[rows]
        table.forbid(own, possible)
        if own is not log_probs:
            log_probs[rows] = own
        row, place = table.opens.nonzero().unbind(1)
        return torch.tensor(rows, device=device)[row], place, own[row, place]

    def _need_without_phrases(
        self,
        ruled: Ruled,
        rows: list[int],
        names: list[SourceNames],
        states: list[list[int]],
        table: NameTable,
    ) -> Tensor:
        """The pieces (P) that complete names, where phrases to avoid stand in the way of some."""
        need = table.need
        for place, row in enumerate(rows):
            avoid = ruled.sentences[row].request.avoid
            if avoid is None:
                continue
            automaton, own = self._automata[avoid], names[place]
            avoiding = self._state.avoiding[ruled.slots[row]].tolist()
            ours = (table.hypothesis // self._beam_size == place).nonzero().flatten()
            state = self._state.avoiding[ruled.slots[row]][table.hypothesis[ours] % self._beam_size]
            need[ours[automaton.following[state, table.piece[ours]] < 0]] = NEVER
            for at in ours[(need[ours] > 0) & (need[ours] < NEVER)].tolist():
                hypothesis, piece = (
                    int(table.hypothesis[at]) % self._beam_size,
                    int(table.piece[at]),
                )
                after = own.after(states[place][hypothesis], piece)
                assert after is not None, "what is added can be read"
                following = int(automaton.following[avoiding[hypothesis], piece])
                need[at] = own.fewest(after, automaton, following)
        return need

    def _names(self, ruled: Ruled, rows: list[int]) -> list[SourceNames]:
        """The names of the sources of `rows`, which have some."""
        found = [ruled.sentences[row].request.source_names for row in rows]
        return [names for names in found if names is not None]

    def _extracts(self, ruled: Ruled, rows: list[int]) -> tuple[SourceWords, Tensor, WordsTaken]:
        """The words of the sources of `rows`, who keeps their order (M,), and what is taken."""
        slots, requests = ruled.slots_of(rows), [ruled.sentences[row].request for row in rows]
        width = rows_of(max(len(request.src) for request in requests))
        in_order = [request.options.extractive == "subsequence" for request in requests]
        return (
            SourceWords(*self._held.words[slots, :, :width].unbind(1)),
            torch.tensor(in_order, device=self._continues.device),
            WordsTaken(self._state.passed[slots], self._state.node[slots]),
        )

    def _by_sampling(
        self, ruled: Ruled, log_probs: Tensor, alive: Tensor
    ) -> list[tuple[list[int], Candidates]]:
        """The rows that draw samples, and their candidates."""
        found = []
        for (top_k, has_top_p), rows in ruled.groups(_sampling).items():
            sentences = [ruled.sentences[row] for row in rows]
            options = [s.request.options for s in sentences]
            own = log_probs[rows]
            temperature = own.new_tensor([o.temperature for o in options])
            probable = own
            if top_k or has_top_p:
                shares = (
                    self._held.draw.new_tensor([o.top_p for o in options]) if has_top_p else None
                )
                probable = keep_probable(own, temperature, top_k, shares)
            draw = self._held.draw[ruled.slots_of(rows), [s.length for s in sentences]]
            piece = sample(probable, draw, temperature)
            found.append((rows, sampled_candidates(own, alive[rows], piece)))
        return found

    def _by_groups(
        self, ruled: Ruled, log_probs: Tensor, alive: Tensor
    ) -> list[tuple[list[int], Candidates]]:
        """The rows with diverse groups, and their candidates."""
        found = []
        for groups, rows in ruled.groups(_groups).items():
            strength = [ruled.sentences[row].request.options.diverse_strength for row in rows]
            chosen = diverse_candidates(
                log_probs[rows],
                alive[rows],
                self._held.closed[ruled.slots_of(rows)],
                torch.tensor(strength, device=alive.device),
                groups,
            )
            found.append((rows, chosen))
        return found

    def _by_constraints(
        self, ruled: Ruled, log_probs: Tensor, alive: Tensor
    ) -> list[tuple[list[int], Candidates]]:
        """The rows with constraints, and their candidates."""
        rows = ruled.rows(lambda request: request.constraints)
        if not rows:
            return []
        room = [ruled.sentences[row].limit - ruled.sentences[row].length - 1 for row in rows]
        constraints, progress = self._progress(ruled, rows)
        chosen = constrained_candidates(
            log_probs[rows],
            alive[rows],
            constraints,
            progress,
            torch.tensor(room, device=alive.device),
            self._continues,
        )
        return [(rows, chosen)]

    def _progress(self, ruled: Ruled, rows: list[int]) -> tuple[Constraints, ConstraintProgress]:
        slots = ruled.slots_of(rows)
        places, bits = self._held.places[slots], self._held.bits[slots]
        return (
            Constraints(*places.unbind(1), *bits.unbind(1)),
            ConstraintProgress(self._state.partial[slots], self._state.met[slots]),
        )


def _by_beam(ruled: Ruled, log_probs: Tensor, alive: Tensor) -> list[tuple[list[int], Candidates]]:
    """The candidates of the rows that choose as a search without rules does."""
    rows = ruled.rows(
        lambda request: (
            not (
                request.options.temperature
                or request.options.diverse_groups > 1
                or request.constraints
            )
        )
    )
    if not rows:
        return []
    return [(rows, best_candidates(log_probs[rows] + alive[rows].unsqueeze(2)))]


def score_bound(sentence: Sentence, length: int) -> float:
    """The most that `extra_score` can be for hypotheses of `length` pieces that are alive."""
    reward = sentence.request.options.word_reward
    return reward_bound(reward, length + 1, sentence.limit + 1)


def _extracts(request: Request) -> bool:
    """Whether the words of a sentence are those of its source."""
    return request.source_words is not None


def _takes_names(request: Request) -> bool:
    """Whether the names of a sentence are those of its source."""
    return request.source_names is not None


def _groups(sentence: Sentence) -> int | None:
    """The number of diverse groups; None if there are none."""
    groups = sentence.request.options.diverse_groups
    return groups if groups > 1 else None


def _sampling(sentence: Sentence) -> tuple[int, bool] | None:
    """`top_k`, and whether there is a `top_p`; None for a search."""
    options = sentence.request.options
    return (options.top_k, options.top_p < 1) if options.temperature else None
