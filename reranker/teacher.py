"""A teacher: a bi-encoder whose cosines say how near each document of a training list is to its query."""

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from reranker.examples import Collection, Example
from reranker.packages import PACKAGE, named_folder

_LENGTH = 64  # tokens: about what the pupil reads of a document, and a little more


class Teacher:
    """Scores training lists; each collection's documents are encoded once, when its first list comes."""

    def __init__(self, model: str) -> None:
        """Take a sentence-transformers model: a hub id, a folder, or `package:DISTRIBUTION/FOLDER`."""
        place = str(named_folder(model)) if model.startswith(PACKAGE) else model
        self._model = SentenceTransformer(place, device="cpu")
        self._model.max_seq_length = _LENGTH
        self._documents: dict[Path, tuple[dict[str, int], Tensor]] = {}

    def scores(self, collection: Collection, example: Example) -> Tensor:
        """The cosine of each of the list's documents with its query [N]."""
        if collection.folder not in self._documents:
            rows = {document: number for number, document in enumerate(collection.documents)}
            self._documents[collection.folder] = rows, self._encode(list(collection.documents.values()))
        rows, embeddings = self._documents[collection.folder]
        return embeddings[[rows[document] for document in example.ids]] @ self._encode([example.query])[0]

    def _encode(self, texts: list[str]) -> Tensor:
        encoded = self._model.encode(
            texts, batch_size=32, convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False
        )
        return encoded.clone().cpu() if isinstance(encoded, Tensor) else torch.stack(encoded)
