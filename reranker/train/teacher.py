"""The teacher of a distillation: a bi-encoder that gives target embeddings and scores for training lists."""

from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from reranker.errors import CheckpointError
from reranker.loaded import reports
from reranker.train import teacher_files
from reranker.train.collection import Example
from reranker.train.losses import Targets

_LENGTH = 48  # tokens: about what the student reads of a document


class Teacher:
    """A sentence-transformers model; each text is encoded once and its embedding cached."""

    def __init__(self, model: str) -> None:
        """Load a sentence-transformers model: a hub id, a folder, or `package:DISTRIBUTION/FOLDER`.

        Raises:
            CheckpointError: it does not exist, is damaged, lacks tensors, or has a setting that is not allowed.
        """
        folder = teacher_files.find(model)
        try:
            with reports() as loaded:
                self._model = SentenceTransformer(
                    str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
                )
        except Exception as error:  # the libraries raise nothing narrower
            raise CheckpointError(f"the teacher {model} cannot be loaded: {error}") from error
        for report in loaded:
            report.check(f"the teacher {model}", CheckpointError)
        if isinstance(self._model.max_seq_length, int):  # a static model has no maximum length
            self._model.max_seq_length = _LENGTH
        self.width = self._model.get_embedding_dimension() or 0
        self._known: dict[str, Tensor] = {}

    @property
    def vocabulary(self) -> list[str]:
        """The tokens of its tokenizer in the order of their ids."""
        numbers: dict[str, int] = self._model.tokenizer.get_vocab()
        return sorted(numbers, key=numbers.__getitem__)

    def targets(self, example: Example, prior: float) -> Targets:
        """Unit-length embeddings, and scores: cosines, minus `prior` * ln(rank) if the list is in BM25's order.

        Ranks count from 1. The prior combines the teacher's cosines with the first stage's ranking.
        """
        *documents, query = self.encode([*example.documents, example.query])
        scores = torch.stack(documents) @ query
        if example.ordered:
            scores = scores - prior * torch.arange(1, len(documents) + 1).log()
        return Targets(torch.stack(documents), query, scores)

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """One embedding of unit length per text.

        Raises:
            CheckpointError: an embedding is not finite.
        """
        new = sorted({text for text in texts if text not in self._known})
        if new:
            encoded = self._model.encode(
                new, batch_size=32, convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False
            )
            if not bool(torch.isfinite(encoded).all()):
                raise CheckpointError("the teacher gave an embedding that is not a finite number: check its weights")
            self._known |= {text: row.clone() for text, row in zip(new, encoded, strict=True)}
        return [self._known[text] for text in texts]
