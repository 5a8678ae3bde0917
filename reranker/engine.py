"""Lists in, scores out: work is tokenised ahead, sorted by length, packed into forward passes, merged and checked."""

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
from reranker.results import ListScores
from reranker.tokens import Block, Cut, Document, Prompt, PromptTokens

_log = logging.getLogger(__name__)

# Tokens that lists may share a forward pass up to. A CPU is busy with a few thousand, a GPU wants many more.
_CPU_BUDGET, _GPU_BUDGET = 4_096, 32_768
# Characters that are tokenised at once, as a multiple of the budget: about eight passes.
_CHARACTERS_AHEAD = 32

QueryAndDocuments = tuple[str, Iterable[str]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How every list of a call is read: the caps in tokens, and the instruction that the prompt carries."""

    max_query_length: int
    max_doc_length: int
    instruction: str | None
    max_documents: int = MAX_DOCUMENTS


@dataclass(frozen=True, slots=True)
class Answer:
    """The scores of one list with the embeddings behind them: raw float32 [documents, width]."""

    scores: ListScores
    embeddings: Tensor


@dataclass(slots=True)
class _List:
    """A list on its way: its prompts, and the embeddings that each gave."""

    index: int
    query: str
    prompts: list[Prompt]
    answers: list[Tensor | None]
    documents: Sequence[Document]
    query_cut: bool


@dataclass(frozen=True, slots=True)
class _Work:
    """One prompt of a list."""

    owner: _List
    number: int
    prompt: Prompt


class Engine:
    """Runs lists through a model on one device."""

    def __init__(self, model: ListModel, tokens: PromptTokens, capacity: int, device: torch.device) -> None:
        """Take a model that lies on `device`; `capacity` is the tokens that one prompt may hold."""
        self._model = model.eval()
        self._tokens = tokens
        self._capacity = capacity
        self._device = device
        self._budget = _CPU_BUDGET if device.type == "cpu" else _GPU_BUDGET

    def run(self, lists: Iterable[QueryAndDocuments], reading: Reading) -> Iterator[Answer]:
        """The answer to each list, as it is finished: not in the lists' order.

        The next lists are tokenised in the background while the model works.

        Raises:
            TypeError: a query or a document is not a string.
            ListTooLongError: one list does not fit in the device's memory.
            NonFiniteScoreError: a score is not a finite number.
        """
        wish = without_markers(well_formed(reading.instruction or ""), self._tokens.markers)
        reading = replace(reading, instruction=wish)
        windows = self._windows(lists)
        with ThreadPoolExecutor(1) as background:
            ahead: Future[list[_List]] | None = None
            for window in chain(windows, (None,)):
                ready = ahead.result() if ahead else []
                ahead = background.submit(self._prepare, window, reading) if window else None
                yield from self._answer(ready)

    def _windows(self, lists: Iterable[QueryAndDocuments]) -> Iterator[list[tuple[int, str, list[str]]]]:
        """Checked lists, in groups of about as many characters as are worth tokenising at once."""
        window: list[tuple[int, str, list[str]]] = []
        characters = 0
        for index, one in enumerate(lists):
            try:
                query, documents = one
            except (TypeError, ValueError) as error:
                raise TypeError(f"list {index} is a {type(one).__name__}, not (query, documents)") from error
            query, documents = _checked(query, documents)
            window.append((index, query, documents))
            characters += len(query) + sum(map(len, documents))
            if characters >= _CHARACTERS_AHEAD * self._budget:
                yield window
                window, characters = [], 0
        if window:
            yield window

    def _prepare(self, window: Sequence[tuple[int, str, list[str]]], reading: Reading) -> list[_List]:
        """Cut each list into blocks and tokenise their prompts, all lists of the window together."""
        known = self._tokens.documents(
            chain.from_iterable(documents for _, _, documents in window), reading.max_doc_length
        )
        queries = self._tokens.cut([query for _, query, _ in window], reading.max_query_length)
        lists, blocks = [], []
        for (index, raw, texts), query in zip(window, queries, strict=True):
            documents = [known[text] for text in texts]
            own = self._blocks(query, documents, reading)
            lists.append(_List(index, raw, [], [None] * len(own), documents, query.lost > 0))
            blocks.append(own)
        prompts = iter(self._tokens.prompts([block for own in blocks for block in own]))
        for target, own in zip(lists, blocks, strict=True):
            target.prompts = [next(prompts) for _ in own]
        return lists

    def _blocks(self, query: Cut, documents: Sequence[Document], reading: Reading) -> list[Block]:
        lengths = [document.cut.length for document in documents]
        blocks, start = [], 0
        for size in block_sizes(lengths, query.length, reading.max_doc_length, self._capacity, reading.max_documents):
            blocks.append(Block(query.text, documents[start : start + size], reading.instruction))
            start += size
        return blocks

    def _answer(self, lists: Sequence[_List]) -> Iterator[Answer]:
        """Run the prompts of all lists, the longest first, and merge each list once its last prompt is read."""
        waiting = [_Work(owner, number, prompt) for owner in lists for number, prompt in enumerate(owner.prompts)]
        waiting.sort(key=lambda work: len(work.prompt.ids), reverse=True)
        yield from (_merged(owner) for owner in lists if not owner.prompts)
        while waiting:
            pack = _take(waiting, self._budget)
            embeddings = self._forward([work.prompt for work in pack])
            if embeddings is None:
                self._halve(pack)
                waiting[:0] = pack
                continue
            for work, found in zip(pack, embeddings, strict=True):
                work.owner.answers[work.number] = found
            # By identity, since a pack can hold several prompts of one list.
            owners = {id(work.owner): work.owner for work in pack}.values()
            yield from (_merged(owner) for owner in owners if all(answer is not None for answer in owner.answers))

    @torch.inference_mode()
    def _forward(self, prompts: Sequence[Prompt]) -> list[Tensor] | None:
        """The embeddings at each prompt's markers, float32 on the CPU [N + 1, width]; None if memory ran out."""
        # Nothing after its last marker is read: in a causal model, it cannot change what stands before it.
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

    def _halve(self, pack: Sequence[_Work]) -> None:
        """Allow half of what did not fit."""
        tokens = sum(len(work.prompt.ids) for work in pack)
        if len(pack) == 1:
            raise ListTooLongError(
                f"the list of the query {_short(pack[0].owner.query)} takes {tokens} tokens in one pass, more than the "
                f"memory of {self._device} holds: give fewer documents or a smaller max_doc_length"
            )
        self._budget = min(self._budget, tokens) // 2
        _log.warning("%s ran out of memory at %d tokens; going on with %d a pass", self._device, tokens, self._budget)
        free_memory(self._device)


def checked_documents(query: object, documents: object) -> list[str]:
    """The documents of a list, whatever they are iterated over.

    Raises:
        TypeError: they are not many, or one of them is not a string.
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


def _take(waiting: list[_Work], budget: int) -> list[_Work]:
    """Take the first piece of work out of `waiting`, and every further one that still fits in the budget beside it."""
    pack: list[_Work] = []
    rest: list[_Work] = []
    for work in waiting:
        length = len(work.prompt.ids)
        fits = not pack or length <= budget
        (pack if fits else rest).append(work)
        budget -= length if fits else 0
    waiting[:] = rest
    return pack


def _merged(owner: _List) -> Answer:
    answers = [answer for answer in owner.answers if answer is not None]
    documents = [answer[:-1] for answer in answers]
    embeddings = torch.cat(documents) if documents else torch.empty(0, 0)
    scores = merge(torch.stack([answer[-1] for answer in answers]), documents) if answers else torch.empty(0)
    if not bool(torch.isfinite(scores).all()):
        raise NonFiniteScoreError(
            f"the model gave scores that are not finite numbers for the query {_short(owner.query)}: "
            "try dtype float32; if it stays so, the weights are damaged"
        )
    cuts = [document.cut for document in owner.documents]
    return Answer(
        ListScores(
            index=owner.index,
            scores=scores.tolist(),
            tokens=sum(len(prompt.ids) for prompt in owner.prompts),
            documents_cut=sum(cut.lost > 0 for cut in cuts),
            tokens_lost=sum(cut.lost for cut in cuts),
            query_cut=owner.query_cut,
        ),
        embeddings,
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
