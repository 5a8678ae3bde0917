"""A teacher: a bi-encoder whose embeddings a training list's documents and query are to resemble."""

from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from reranker.errors import CheckpointError
from reranker.loaded import reports
from reranker.train import teacher_files
from reranker.train.collection import Example
from reranker.train.losses import Lesson

_LENGTH = 48  # tokens: about what the pupil reads of a document


class Teacher:
    """Teaches training lists; each text is encoded once, when its first list comes."""

    def __init__(self, model: str) -> None:
        """Take a sentence-transformers model: a hub id, a folder, or `package:DISTRIBUTION/FOLDER`.

        Raises:
            CheckpointError: there is none, it is damaged or lacks tensors, or a file says what it may not.
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
        if isinstance(self._model.max_seq_length, int):  # a static model reads texts of any length
            self._model.max_seq_length = _LENGTH
        self.width = self._model.get_embedding_dimension() or 0
        self._known: dict[str, Tensor] = {}

    @property
    def vocabulary(self) -> list[str]:
        """The pieces of its tokenizer, in the order of their ids."""
        numbers: dict[str, int] = self._model.tokenizer.get_vocab()
        return sorted(numbers, key=numbers.__getitem__)

    def lesson(self, example: Example, prior: float) -> Lesson:
        """Embeddings of unit length, and scores: the cosines, less `prior` times ln(place) in a list in BM25's order.

        Places count from 1. So the scores join what the teacher reads with what the first stage found.
        """
        *documents, query = self.encode([*example.documents, example.query])
        scores = torch.stack(documents) @ query
        if example.ordered:
            scores = scores - prior * torch.arange(1, len(documents) + 1).log()
        return Lesson(torch.stack(documents), query, scores)

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """Embeddings of unit length.

        Raises:
            CheckpointError: one is not a finite number.
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
