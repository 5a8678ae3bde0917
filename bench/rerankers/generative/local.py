"""A causal language model on this machine, through transformers: chat template, greedy decoding.

Batches are of fixed shapes (`bench.rerankers.local.batching`), so that no window's answer depends on the others of its
batch: not on how many there are, and not on which of them an interrupted command had answered before.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from jinja2 import TemplateError

from bench.errors import BenchError
from bench.provenance import ARITHMETIC, versions
from bench.rerankers.base import Card, Lazy, Options, Reranker
from bench.rerankers.generative import spec as specs
from bench.rerankers.generative import texts
from bench.rerankers.generative.answers import Answers, Said
from bench.rerankers.generative.prompts import Turn
from bench.rerankers.generative.ranker import Ask, Generative, Say
from bench.rerankers.generative.spec import Spec
from bench.rerankers.local import checkpoint, loading
from bench.rerankers.local.batching import Budget, Shape, shape
from bench.rerankers.local.checkpoint import Checkpoint
from bench.rerankers.local.truncation import Cutter
from bench.rerankers.rows import Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

CPU_BUDGET, ACCELERATOR_BUDGET = Budget(128, 16), Budget(32_768, 256)
"""The prompts of a batch. A CPU gains nothing from more."""
_LARGEST_TEMPLATE = 100_000


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt's token ids, what was cut to make it fit, and how many tokens the answer may have."""

    ids: list[int]
    lost: tuple[int, ...]
    query_lost: int
    answer_tokens: int


class Local:
    """Speaks through a model of transformers."""

    parallel = 0

    def __init__(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerFast",
        spec: Spec,
        options: Options,
        template: str,
        ends: Sequence[int],
        name: str,
    ) -> None:
        """``template`` is the chat template, ``ends`` the tokens that end an answer, ``name`` the reranker's."""
        self._model = model
        self._tokenizer = tokenizer
        self._cutter = Cutter(tokenizer, name)
        self._name = name
        self._spec = spec
        self._options = options
        self._template = template
        self._ends = list(ends)
        self._budget = CPU_BUDGET if model.device.type == "cpu" else ACCELERATOR_BUDGET
        self._start = _start(tokenizer)
        self._special = _special(tokenizer)
        positions = int(getattr(model.config, "max_position_embeddings", 0)) or 2**31
        self._context = min(spec.prompt.context or positions, positions)

    @contextmanager
    def session(self) -> Iterator[Say]:
        """See `Speaker`."""
        with loading.running(self._name):
            yield self.say

    def say(self, asks: Sequence[Ask]) -> list[Said]:
        """Answer some prompts, those of one shape together."""
        fitted = [self.fit(ask) for ask in asks]
        groups: dict[tuple[Shape, int, int], list[int]] = {}
        for place, (each, ask) in enumerate(zip(fitted, asks, strict=True)):
            key = (shape(len(each.ids), self._budget, self._context), each.answer_tokens, len(ask.passages))
            groups.setdefault(key, []).append(place)
        answers: dict[int, Said] = {}
        for (batch, answer_tokens, count), places in groups.items():
            for start in range(0, len(places), batch.rows):
                some = places[start : start + batch.rows]
                started = time.perf_counter()
                said = self._say([fitted[place] for place in some], batch, answer_tokens, count)
                seconds = (time.perf_counter() - started) / len(some)
                answers |= {place: replace(each, seconds=seconds) for place, each in zip(some, said, strict=True)}
        return [answers[place] for place in range(len(asks))]

    def _say(self, fitted: Sequence[Fitted], batch: Shape, answer_tokens: int, count: int) -> list[Said]:
        """Answer the prompts of one batch."""
        prompts = [each.ids for each in fitted]
        common = [{"tokens_in": len(each.ids), "lost": each.lost, "query_lost": each.query_lost} for each in fitted]
        if self._spec.first_token:
            return [
                Said("", "stop", tokens_out=1, logits=tuple(logits), **each)  # type: ignore[arg-type]
                for logits, each in zip(self._logits(prompts, batch, count), common, strict=True)
            ]
        written = self._written(prompts, batch, answer_tokens)
        return [self._said(ids, each) for ids, each in zip(written, common, strict=True)]

    def _said(self, written: Sequence[int], common: Mapping[str, Any]) -> Said:
        end = next((place for place, token in enumerate(written) if token in self._ends), len(written))
        tokenizer: Any = self._tokenizer
        text: str = tokenizer.decode(list(written[:end]), skip_special_tokens=True)
        thought = text.rpartition("</think>")[0]
        return Said(
            text=self._spec.prompt.answer + text,
            finish="stop" if end < len(written) else "length",
            tokens_out=min(end + 1, len(written)),
            tokens_thinking=len(self._cutter.ids([thought])[0]) if thought else 0,
            **common,
        )

    @torch.inference_mode()
    def _written(self, prompts: Sequence[list[int]], batch: Shape, answer_tokens: int) -> list[list[int]]:
        """The tokens that follow each prompt, greedily; prompts are padded on the left behind a mask."""
        from transformers import GenerationConfig

        chosen = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False, max_new_tokens=answer_tokens, eos_token_id=self._ends or None, pad_token_id=0
        )
        rows, width = _filled(prompts, batch)
        given = [[*[0] * (width - len(ids)), *ids] for ids in rows]
        seen = [[*[0] * (width - len(ids)), *[1] * len(ids)] for ids in rows]
        on = self._model.device
        model: Any = self._model
        made = model.generate(
            torch.tensor(given, device=on), attention_mask=torch.tensor(seen, device=on), generation_config=chosen
        )
        written: list[list[int]] = made[: len(prompts), width:].tolist()
        return written

    @torch.inference_mode()
    def _logits(self, prompts: Sequence[list[int]], batch: Shape, count: int) -> list[list[float]]:
        """The identifiers' logits at the first token of each answer, in float32; prompts are padded on the right.

        Padding on the right needs no mask: no token looks ahead.
        """
        rows, width = _filled(prompts, batch)
        padded = torch.tensor([[*ids, *[0] * (width - len(ids))] for ids in rows], device=self._model.device)
        model: Any = self._model
        states = model.base_model(input_ids=padded, use_cache=False)[0]
        last = states[torch.arange(len(rows)), torch.tensor([len(ids) - 1 for ids in rows])]  # (rows, width)
        logits = model.get_output_embeddings()(last)[: len(prompts), self._names(count)]
        found: list[list[float]] = logits.float().tolist()
        return found

    def _names(self, count: int) -> list[int]:
        """The token ids of the identifiers, each a single token after the text that the answer begins with."""
        start = self._spec.prompt.answer
        names = self._spec.prompt.names(count)
        begun, *found = self._cutter.ids([start, *(start + name for name in names)])
        ids = [each[-1] for each in found if each]
        if any(each[:-1] != begun for each in found) or len(set(ids)) < count:
            raise BenchError(
                f"The tokenizer does not have each of {', '.join(names)} as a token of its own, so that their logits "
                "cannot be compared. Use the strategy sliding."
            )
        return ids

    def fit(self, ask: Ask) -> Fitted:
        """A window's prompt: all passages are cut to one length, the largest with which prompt and answer fit.

        Raises:
            BenchError: not even one word of each passage fits.
        """
        prompt, count = self._spec.prompt, len(ask.passages)
        answer = 1 if self._spec.first_token else len(self._cutter.ids([prompt.permutation(count)])[0]) + 8
        answer += 0 if self._spec.first_token else self._spec.thinking
        query = self._cutter.cut([self._harmless(ask.query)], self._options.max_query_length)[0]
        passages = [self._harmless(each) for each in ask.passages]
        low, high, limit = 1, prompt.passage, prompt.passage
        while True:
            shown = [self._shortened(each, limit) for each in passages]
            ids = self._ids(prompt.turns(query.text, shown))
            fits = len(ids) + answer <= self._context
            if fits and limit == high:
                break
            if not fits and limit == 1:
                raise BenchError(
                    f"A prompt with one word of each of {count} passages has {len(ids)} tokens and its answer "
                    f"{answer}; together they have {self._context}. Choose a smaller window or less thinking."
                )
            low, high = (limit, high) if fits else (low, limit - 1)
            limit = (low + high + 1) // 2
        return Fitted(ids, self._lost(passages, shown), query.lost, answer)

    def _shortened(self, text: str, limit: int) -> str:
        most = self._options.max_doc_length
        if self._spec.prompt.unit == "tokens":
            return self._cutter.cut([text], min(limit, most))[0].text
        return self._cutter.cut([texts.first(text, limit)], most)[0].text

    def _lost(self, whole: Sequence[str], shown: Sequence[str]) -> tuple[int, ...]:
        """How many tokens of each passage are not shown."""
        cuts = [0] * len(whole)
        changed = [place for place in range(len(whole)) if len(shown[place]) < len(whole[place])]
        for place in changed:
            full, part = self._cutter.cut([whole[place], shown[place]], 2**31)
            cuts[place] = max(1, full.tokens - part.tokens)
        return tuple(cuts)

    def _ids(self, turns: list[Turn]) -> list[int]:
        ids = self._cutter.ids([self.text(turns)])[0]
        return [*self._start, *ids] if ids[: len(self._start)] != self._start else ids

    def text(self, turns: list[Turn]) -> str:
        """A chat as the model reads it, up to where it answers.

        Raises:
            BenchError: the chat template does not take such a chat.
        """
        try:
            return self._rendered(turns) + self._spec.prompt.answer
        except TemplateError:
            # Some templates have no system turn: what it says then goes before the user's.
            first, *rest = turns
            if first["role"] == "system" and rest:
                merged: Turn = {"role": rest[0]["role"], "content": f"{first['content']}\n\n{rest[0]['content']}"}
                return self._rendered([merged, *rest[1:]]) + self._spec.prompt.answer
            raise

    def _rendered(self, turns: list[Turn]) -> str:
        text: Any = self._tokenizer.apply_chat_template(
            turns,  # type: ignore[arg-type]
            chat_template=self._template,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=self._spec.thinking > 0,
        )
        return str(text)

    def _harmless(self, text: str) -> str:
        """A text in which the model's special tokens are only text: ``<|im_end|>`` ends no turn."""
        return self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text) if self._special else text


def _filled(prompts: Sequence[list[int]], batch: Shape) -> tuple[list[list[int]], int]:
    """A batch's rows, the last prompt repeated to fill it up, and its width."""
    return [*prompts, *[prompts[-1]] * (batch.rows - len(prompts))], max(batch.width, len(prompts[0]))


def _start(tokenizer: "PreTrainedTokenizerFast") -> list[int]:
    """The token that the tokenizer puts before a text, where it does so and puts none after it."""
    backend: Any = tokenizer.backend_tokenizer
    around: list[int] = backend.encode("", add_special_tokens=True).ids
    return around if around == [tokenizer.bos_token_id] else []


def _special(tokenizer: "PreTrainedTokenizerFast") -> re.Pattern[str] | None:
    backend: Any = tokenizer.backend_tokenizer
    found = [token.content for token in backend.get_added_tokens_decoder().values() if token.special]
    longest_first = sorted(filter(None, found), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def _template(files: Checkpoint, spec: Spec) -> str:
    """The prompt's own chat template, else the checkpoint's. transformers runs it in a sandbox that has no imports."""
    path = files.folder / "chat_template.jinja"
    template: object = spec.prompt.template
    if not template and path.is_file():
        template = path.read_text(encoding="utf-8", errors="replace")
    template = template or checkpoint.config(files.folder, "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):  # several, by name
        named = {each.get("name"): each.get("template") for each in template if isinstance(each, dict)}
        template = named.get("default")
    if not isinstance(template, str) or not 0 < len(template) <= _LARGEST_TEMPLATE:
        raise BenchError(
            f"{files.model} has no chat template, so that it is not known how it is asked. Use an instruct model, or "
            "serve the model and rerank by 'chat:URL#MODEL'."
        )
    return template


def _ends(files: Checkpoint, tokenizer: "PreTrainedTokenizerFast") -> list[int]:
    """The tokens that end an answer, from all three places that name some."""
    found: list[object] = [tokenizer.eos_token_id]
    for name in ("config.json", "generation_config.json"):
        stated = checkpoint.config(files.folder, name).get("eos_token_id")
        found += stated if isinstance(stated, list) else [stated]
    return sorted({token for token in found if type(token) is int and 0 <= token < len(tokenizer)})


class LazyGenerative(Lazy):
    """A generative reranker whose model is loaded when the first list must be ranked."""

    chunk_characters = Generative.chunk_characters

    def __init__(self, card: Card, answers: Answers, make: Any) -> None:
        super().__init__(card, make)
        self.answers = answers


def build(row: Row, options: Options) -> Reranker:
    """A causal language model with a strategy and a prompt.

    Raises:
        BenchError: the model is not available, is no causal language model, or has no chat template.
    """
    model, _, text = row.model.partition("#")
    spec = specs.read(text)
    row = replace(row, model=model)
    files = checkpoint.find(row)
    architecture = checkpoint.architecture(files.folder)
    if not architecture.endswith("ForCausalLM"):
        raise BenchError(
            f"{row.model} is a {architecture or 'model of unknown kind'}, and a generative reranker is a causal "
            "language model (…ForCausalLM)."
        )
    template = _template(files, spec)
    what = "a causal language model"
    card = loading.card(row, files, options, what, lambda _: spec.settings, f"{spec.prompt!r} {spec.first_token}")
    card = replace(card, listwise=True)
    answers = Answers()
    caps = f"{options.max_query_length} {options.max_doc_length}"
    who = [card.fingerprint, card.device, card.dtype, repr(sorted(card.settings.items())), caps]
    who += map(" ".join, versions(ARITHMETIC).items())

    def load() -> Reranker:
        import transformers

        device, dtype = loading.place(options)
        with loading.loading(files, what) as folder:
            tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            made: Any = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                attn_implementation=loading.attention(folder),
                dtype=dtype,
            )
            made.to(device).eval()
        speaker = Local(made, tokenizer, spec, options, template, _ends(files, tokenizer), card.name)
        with loading.explained(f"{card.name} was loaded but cannot answer"):
            speaker.fit(Ask("when does water boil", ("Water boils at one hundred degrees.", "It does.")))
        return Generative(card, speaker, spec, answers, who)

    return LazyGenerative(card, answers, load)
