"""Generators that are asked whether a document is relevant: the score is the probability of yes against no.

Two published models are known, by their prompts: Qwen3-Reranker (https://arxiv.org/abs/2506.05176, prompt and default
instruction of its model card) and mxbai-rerank-v2 (prompt of the Apache-2.0 package mxbai-rerank).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.rerankers.base import CandidateList, Card, Lazy, Options, Reranker, Scored
from bench.rerankers.local import checkpoint, loading
from bench.rerankers.local.pointwise import Pair, by_length, score_pairs
from bench.rerankers.local.truncation import Cut, Cutter
from bench.rerankers.rows import Row

if TYPE_CHECKING:
    from transformers import Qwen2ForCausalLM, Qwen3ForCausalLM, Qwen3ForSequenceClassification

    Model = Qwen2ForCausalLM | Qwen3ForCausalLM | Qwen3ForSequenceClassification

WINDOW = 8192
"""Tokens of a prompt, as both models' published code caps it."""

ACCELERATOR_BUDGET = 32_768
"""Tokens of a batch, padding included."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as pieces that are tokenised separately and joined, and the two answers that are compared."""

    pieces: tuple[str, ...]
    yes: str
    no: str


QWEN3_RERANKER = Prompt(
    pieces=(
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
        'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n',
        "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
        "<Query>: {query}\n<Document>: {document}",
        "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
    yes="yes",
    no="no",
)
MXBAI_RERANK_V2 = Prompt(
    pieces=(
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n",
        "query: {query}",
        "\n",
        "document: {document}",
        "\n",
        "You are a search relevance expert who evaluates how well documents match search queries. For each "
        "query-document pair, carefully analyze the semantic relationship between them, then provide your binary "
        "relevance judgment (0 for not relevant, 1 for relevant).\nRelevance:",
        "<|im_end|>\n<|im_start|>assistant\n",
    ),
    yes="1",
    no="0",
)
KNOWN: Mapping[str, Prompt] = {
    "Qwen3ForCausalLM": QWEN3_RERANKER,
    "Qwen2ForCausalLM": MXBAI_RERANK_V2,
    "Qwen3ForSequenceClassification": QWEN3_RERANKER,
}
"""The prompt that a checkpoint was tuned with, by the architecture in its config: a class of transformers."""


class YesNo:
    """A causal language model that reads the prompt once; only the last position is projected to the answers."""

    def __init__(
        self,
        card: Card,
        model: "Model",
        cutter: Cutter,
        prompt: Prompt,
        options: Options,
    ) -> None:
        self.card = card
        self._model = model
        self._prompt = prompt
        self._options = options
        self._cutter = cutter
        self._template_tokens = len(self._prompts([(Cut("", 0), Cut("", 0))])[0])
        self._window = min(WINDOW, int(getattr(model.config, "max_position_embeddings", WINDOW)))
        self._answers = _answers(model, self._cutter, prompt)

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """Score the pairs of all lists, batched by length."""
        with loading.running(self.card.name):
            yield from score_pairs(
                lists, self._cutter, self._options, self._fit, self._predict, template_tokens=self._template_tokens
            )

    def _fit(self, query: Cut, document: Cut) -> Pair:
        """Leave the query at most half of what the template leaves, and the document the rest."""
        room = self._window - self._template_tokens
        query = self._cutter.shorter(query, room // 2)
        return query, self._cutter.shorter(document, room - query.tokens)

    def _prompts(self, pairs: Sequence[Pair]) -> list[list[int]]:
        """The token ids of each pair's prompt."""
        pieces = self._prompt.pieces
        texts = [
            piece.format(query=query.text, document=document.text) for query, document in pairs for piece in pieces
        ]
        ids = iter(self._cutter.ids(texts))
        return [[token for _ in pieces for token in next(ids)] for _ in pairs]

    def _predict(self, pairs: list[Pair]) -> Sequence[float]:
        prompts = self._prompts(pairs)
        return by_length(
            [len(ids) for ids in prompts],
            ACCELERATOR_BUDGET,
            lambda group: self._probabilities([prompts[at] for at in group]),
            self._model.device,
        )

    @torch.inference_mode()
    def _probabilities(self, prompts: Sequence[Sequence[int]]) -> list[float]:
        """The probability of yes for each prompt, in (0, 1).

        Prompts are padded on the right, which needs no mask: no token looks ahead, so a prompt's last token never
        meets the padding. The softmax runs in float64, where certain answers do not all round to 1.
        """
        lengths = [len(ids) for ids in prompts]
        rows = [[*ids, *[0] * (max(lengths) - len(ids))] for ids in prompts]
        states = self._model.base_model(input_ids=torch.tensor(rows, device=self._model.device), use_cache=False)[0]
        last = states[torch.arange(len(rows)), torch.tensor(lengths) - 1]  # (prompts, width)
        logits = last.float() @ self._answers.T  # (prompts, 2)
        probabilities: list[float] = logits.double().softmax(dim=1)[:, 1].tolist()
        return probabilities


def _answers(model: "Model", cutter: Cutter, prompt: Prompt) -> Tensor:
    """The output layer's rows for no and yes, shape (2, width).

    Raises:
        BenchError: for a classifier that has not one output, a vocabulary without the answers, or an output layer that
            contradicts the config.
    """
    from transformers import Qwen3ForSequenceClassification

    if isinstance(model, Qwen3ForSequenceClassification):
        # The conversion keeps the difference between the rows for yes and no.
        difference: Tensor = model.score.weight.detach().float()
        if len(difference) != 1:
            raise BenchError(f"The classifier has {len(difference)} outputs; a reranker has one, the relevance.")
        return torch.cat([torch.zeros_like(difference), difference])
    answers = cutter.ids([prompt.no, prompt.yes])
    rows = model.lm_head.weight.detach()
    if model.config.tie_word_embeddings and not torch.equal(rows, model.model.embed_tokens.weight):
        raise BenchError(
            "The config says that the output layer is the embeddings (tie_word_embeddings), yet the files hold another "
            "one: which of them scores is not certain. Remove lm_head.weight, or set tie_word_embeddings to false."
        )
    if not all(ids and ids[0] < len(rows) for ids in answers):
        raise BenchError(
            f"The tokenizer has no tokens {prompt.no!r} and {prompt.yes!r} that the model can answer with."
        )
    chosen: Tensor = rows[[ids[0] for ids in answers]].float()
    return chosen


def build(row: Row, options: Options) -> Reranker:
    """A generator.

    Raises:
        BenchError: the model is not available, needs code of its own, or has no known prompt.
    """
    files = checkpoint.find(row)
    architecture = checkpoint.architecture(files.folder)
    if architecture not in KNOWN:
        raise BenchError(
            f"{row.model} is a {architecture or 'model of unknown kind'}; the prompts known are those of "
            "Qwen3-Reranker (Qwen3ForCausalLM, or Qwen3ForSequenceClassification once converted) and mxbai-rerank-v2 "
            "(Qwen2ForCausalLM)."
        )
    prompt = KNOWN[architecture]
    what = "a causal language model"
    settings: loading.Settings = {"yes": prompt.yes, "no": prompt.no, "window": WINDOW}
    card = loading.card(row, files, options, what, lambda _: settings, str(prompt))

    def load() -> Reranker:
        import transformers

        device, dtype = loading.place(options)
        with loading.loading(files, what) as folder:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = getattr(transformers, architecture).from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                attn_implementation=loading.attention(folder),
                dtype=dtype,
            )
            model.to(device).eval()
        return loading.tried(YesNo(card, model, Cutter(tokenizer, row.model), prompt, options))

    return Lazy(card, load)
