"""Lists in, scores out: prompts are tokenised ahead, packed into forward passes, and their embeddings merged."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from reranker.blocks import MAX_DOCUMENTS, block_sizes, merge
from reranker.device import free_memory, is_out_of_memory
from reranker.errors import ListTooLongError, NonFiniteScoreError
from reranker.model import ListModel
from reranker.prompt import well_formed, without_markers
from reranker.tokens import Block, Cut, Document, Prompt, PromptTokens

_log = logging.getLogger(__name__)

# Tokens of a forward pass that several prompts share. A few thousand keep a CPU busy; a GPU needs many more.
_CPU_BUDGET, _GPU_BUDGET = 4_096, 32_768
# Characters of lists that are tokenised together, as a multiple of the budget: about eight passes.
_CHARACTERS_AHEAD = 32

QueryAndDocuments = tuple[str, Iterable[str]]


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """What all lists of a call share: the caps in tokens, and the prompt's instruction."""

    max_query_length: int
    max_doc_length: int
    instruction: str | None
    max_documents: int = MAX_DOCUMENTS


@dataclass(frozen=True, slots=True)
class ListScores:
    """The scores of one list, in the order of its documents, with their cost and what was cut.

    `index` is the list's position in the input. `tokens` counts all prompts of the list. `documents_cut` and
    `tokens_lost` count what the cap on a document removed; `query_cut` says whether the cap on the query did.
    """

    index: int
    scores: list[float]
    tokens: int
    documents_cut: int
    tokens_lost: int
    query_cut: bool


@dataclass(frozen=True, slots=True)
class Output:
    """The scores of one list with the embeddings behind them: raw float32 [documents, width], and the query's [width].

    Of a list that was read in blocks, the query's is the mean that the documents were compared with.
    """

    scores: ListScores
    embeddings: Tensor
    query: Tensor


@dataclass(slots=True)
class _PendingList:
    """A list with its prompts, and the embeddings of those that have been run."""

    index: int
    query: str
    prompts: list[Prompt]
    embeddings: list[Tensor | None]
    documents: Sequence[Document]
    query_cut: bool


@dataclass(frozen=True, slots=True)
class _PendingPrompt:
    """One prompt of a list."""

    owner: _PendingList
    number: int
    prompt: Prompt


class Engine:
    """Runs lists through a model on one device."""

    def __init__(self, model: ListModel, tokens: PromptTokens, capacity: int, device: torch.device) -> None:
        """Take a model that is on `device`; `capacity` is the tokens that one prompt may hold."""
        self._model = model.eval()
        self._tokens = tokens
        self._capacity = capacity
        self._device = device
        self._budget = _CPU_BUDGET if device.type == "cpu" else _GPU_BUDGET

    def run(self, lists: Iterable[QueryAndDocuments], options: ScoringOptions) -> Iterator[Output]:
        """The output of each list as soon as it is finished, so not in the order of the lists.

        The next lists are tokenised in the background while the model works.

        Raises:
            TypeError: a query or a document is not a string.
            ListTooLongError: one list does not fit in the device's memory.
            NonFiniteScoreError: a score is not a finite number.
        """
        instruction = without_markers(well_formed(options.instruction or ""), self._tokens.markers)
        options = replace(options, instruction=instruction)
        with ThreadPoolExecutor(1) as background:
            ahead: Future[list[_PendingList]] | None = None
            for batch in chain(self._batches(lists), (None,)):
                ready = ahead.result() if ahead else []
                ahead = background.submit(self._tokenise, batch, options) if batch else None
                yield from self._score(ready)

    def forget(self) -> None:
        """Drop the token ids of documents."""
        self._tokens.forget()

    def _batches(self, lists: Iterable[QueryAndDocuments]) -> Iterator[list[tuple[int, str, list[str]]]]:
        """Checked lists with their index, in batches of about as many characters as are worth tokenising together."""
        batch: list[tuple[int, str, list[str]]] = []
        characters = 0
        for index, one in enumerate(lists):
            try:
                query, documents = one
            except (TypeError, ValueError) as error:
                raise TypeError(f"list {index} is a {type(one).__name__}, not (query, documents)") from error
            query, documents = _checked(query, documents)
            batch.append((index, query, documents))
            characters += len(query) + sum(map(len, documents))
            if characters >= _CHARACTERS_AHEAD * self._budget:
                yield batch
                batch, characters = [], 0
        if batch:
            yield batch

    def _tokenise(self, batch: Sequence[tuple[int, str, list[str]]], options: ScoringOptions) -> list[_PendingList]:
        """Divide each list into blocks and tokenise their prompts, those of all lists together."""
        known = self._tokens.documents(
            chain.from_iterable(documents for _, _, documents in batch), options.max_doc_length
        )
        queries = self._tokens.cut([query for _, query, _ in batch], options.max_query_length)
        lists, blocks = [], []
        for (index, raw, texts), query in zip(batch, queries, strict=True):
            documents = [known[text] for text in texts]
            blocks.append(self._blocks(query, documents, options))
            lists.append(_PendingList(index, raw, [], [None] * len(blocks[-1]), documents, query.lost > 0))
        prompts = iter(self._tokens.prompts([*chain.from_iterable(blocks)]))
        for pending, its_blocks in zip(lists, blocks, strict=True):
            pending.prompts = [next(prompts) for _ in its_blocks]
        return lists

    def _blocks(self, query: Cut, documents: Sequence[Document], options: ScoringOptions) -> list[Block]:
        lengths = [document.cut.length for document in documents]
        blocks, start = [], 0
        for size in block_sizes(lengths, query.length, options.max_doc_length, self._capacity, options.max_documents):
            blocks.append(Block(query.text, documents[start : start + size], options.instruction))
            start += size
        return blocks

    def _score(self, lists: Sequence[_PendingList]) -> Iterator[Output]:
        """Run the prompts of all lists, the longest first, and score each list once its last prompt has been run."""
        waiting = [_PendingPrompt(owner, *one) for owner in lists for one in enumerate(owner.prompts)]
        waiting.sort(key=lambda one: len(one.prompt.ids), reverse=True)
        yield from (_output(owner) for owner in lists if not owner.prompts)
        while waiting:
            pack = _take_pack(waiting, self._budget)
            embeddings = self._forward([one.prompt for one in pack])
            if embeddings is None:
                self._halve_budget(pack)
                waiting[:0] = pack
                continue
            for one, found in zip(pack, embeddings, strict=True):
                one.owner.embeddings[one.number] = found
            # By identity, since a pack can hold several prompts of one list.
            owners = {id(one.owner): one.owner for one in pack}.values()
            yield from (_output(owner) for owner in owners if all(found is not None for found in owner.embeddings))

    @torch.inference_mode()
    def _forward(self, prompts: Sequence[Prompt]) -> list[Tensor] | None:
        """The embeddings at each prompt's markers, float32 on the CPU [N + 1, width]; None if memory ran out."""
        # What follows the last marker is left out: in a causal model it cannot change what precedes it.
        lengths = [int(prompt.markers[-1]) + 1 for prompt in prompts]
        try:
            parts = [torch.from_numpy(p.ids[:length]) for p, length in zip(prompts, lengths, strict=True)]
            ids = torch.cat(parts).to(self._device)
            markers = [torch.from_numpy(prompt.markers).to(self._device) for prompt in prompts]
            embeddings = self._model(ids, lengths, markers).cpu()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return None
        return list(embeddings.split([len(prompt.markers) for prompt in prompts]))

    def _halve_budget(self, pack: Sequence[_PendingPrompt]) -> None:
        """Allow half of the tokens that did not fit in memory, in this and all later calls."""
        tokens = sum(len(one.prompt.ids) for one in pack)
        if len(pack) == 1:
            raise ListTooLongError(
                f"the list of the query {_short(pack[0].owner.query)} takes {tokens} tokens in one pass, more than the "
                f"memory of {self._device} holds: give fewer documents or a smaller max_doc_length"
            )
        self._budget = min(self._budget, tokens) // 2
        _log.warning("%s ran out of memory at %d tokens; going on with %d a pass", self._device, tokens, self._budget)
        free_memory(self._device)


def checked_documents(query: object, documents: object) -> list[str]:
    """The documents of a list, given as any iterable.

    Raises:
        TypeError: it is not an iterable of documents, or one of them is not a string.
    """
    # Iterating over a table would give the names of its columns.
    is_table = getattr(documents, "ndim", 1) != 1
    if isinstance(documents, str | bytes | Mapping) or not isinstance(documents, Iterable) or is_table:
        raise TypeError(f"documents must be a list of strings, not one {type(documents).__name__}")
    texts: list[str] = list(documents)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"document {index} of the query {_short(str(query))} is a {type(text).__name__}, not a string"
            )
    return texts


def _checked(query: object, documents: object) -> tuple[str, list[str]]:
    if not isinstance(query, str):
        raise TypeError(f"the query must be a string, not {type(query).__name__}")
    return well_formed(query), [well_formed(text) for text in checked_documents(query, documents)]


def _take_pack(waiting: list[_PendingPrompt], budget: int) -> list[_PendingPrompt]:
    """Take from `waiting` its first prompt, and each further one that still fits in the budget of tokens."""
    pack: list[_PendingPrompt] = []
    rest: list[_PendingPrompt] = []
    for one in waiting:
        length = len(one.prompt.ids)
        fits = not pack or length <= budget
        (pack if fits else rest).append(one)
        budget -= length if fits else 0
    waiting[:] = rest
    return pack


def _output(owner: _PendingList) -> Output:
    blocks = [block for block in owner.embeddings if block is not None]  # each [N + 1, width], the query's last
    documents = [block[:-1] for block in blocks]
    embeddings = torch.cat(documents) if documents else torch.empty(0, 0)
    scores, query = torch.empty(0), torch.empty(0)
    if blocks:
        query, scores = merge(torch.stack([block[-1] for block in blocks]), documents)
    if not bool(torch.isfinite(scores).all()):
        raise NonFiniteScoreError(
            f"the model gave scores that are not finite numbers for the query {_short(owner.query)}: "
            "try dtype float32; if it stays so, the weights are damaged"
        )
    cuts = [document.cut for document in owner.documents]
    return Output(
        ListScores(
            index=owner.index,
            scores=scores.tolist(),
            tokens=sum(len(prompt.ids) for prompt in owner.prompts),
            documents_cut=sum(cut.lost > 0 for cut in cuts),
            tokens_lost=sum(cut.lost for cut in cuts),
            query_cut=owner.query_cut,
        ),
        embeddings,
        query,
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
