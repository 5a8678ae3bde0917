"""Loads users' rerankers: a class named ``module:Class``, or one that an installed package announces.

Such a class needs one method, ``score(lists)`` of :class:`bench.rerankers.base.Reranker`. Its constructor is called
with the command line's ``Options`` if it takes an argument, else with nothing. A class may have a ``card``; without
one, a card is made from its name. It may have a ``fingerprint``, a string or a method that returns one, which must
change with everything outside its source files that can change a score: weights, settings, a service.
"""

import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

from bench.errors import BenchError
from bench.rerankers.base import NEEDS, CandidateList, Card, Options, Reranker, Scored
from bench.rerankers.sources import source_hash

_ALIAS = "reranker_of_your_own_"
"""Prefix for a user's module whose name another module has already."""

_added: list[str] = []
"""Folders of users' modules that this module appended to ``sys.path``."""


class Scorer(Protocol):
    """The interface that a user's class must have."""

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """As :meth:`bench.rerankers.base.Reranker.score`."""
        ...


@dataclass(frozen=True, slots=True)
class Own:
    """A user's object as the harness sees it.

    ``cacheable`` says that the class declares a fingerprint. Without one the next command may load another model
    unnoticed, since a class may read any file.
    """

    scorer: Scorer
    card: Card
    cacheable: bool

    def score(self, lists: Sequence[CandidateList]) -> Iterator[Scored]:
        """The user's own scores.

        Raises:
            BenchError: for whatever goes wrong in the user's code.
        """
        with _failures(f"{self.card.name} failed in 'score'"):
            answers = self.scorer.score(lists)
        if not isinstance(answers, Iterable):
            return answers  # for the check of all answers to refuse
        return self._each(answers)

    def _each(self, answers: Iterable[Scored]) -> Iterator[Scored]:
        with _failures(f"{self.card.name} failed in 'score'"):
            yield from answers


class OwnInBlocks(Own):
    """A user's object that can read its lists in smaller blocks."""

    __slots__ = ()

    def with_block_size(self, documents: int) -> Reranker:
        """See `bench.rerankers.base.VariesBlocks`."""
        with _failures(f"{self.card.name} failed in 'with_block_size'"):
            varied = cast(Any, self.scorer).with_block_size(documents)
        made = _wrapped(f"{self.card.name} in blocks of {documents}", varied)
        # The class need not say so itself: scores of other blocks must never be taken for these.
        parts = f"blocks {documents} {self.card.fingerprint} {made.card.fingerprint}"
        fingerprint = hashlib.sha256(parts.encode()).hexdigest()
        return replace(made, card=replace(made.card, fingerprint=fingerprint))


def from_module(name: str, options: Options) -> Reranker:
    """Load ``module:Class`` from the current folder or an installed package.

    Raises:
        BenchError: where the module or the class is missing, or it is no reranker.
    """
    return _made(name, _class_of(name), name.partition(":")[0], options)


def from_object(name: str, scorer: object) -> Reranker:
    """An object that the user made.

    Raises:
        BenchError: where its card or fingerprint cannot be used.
    """
    return _wrapped(name, scorer, needs_source=False)


@contextmanager
def out_of_sight() -> Iterator[None]:
    """Hide the folder of users' modules from imports while a built-in reranker is imported and loaded.

    Libraries look for optional packages, such as ``kernels``; a user's file of that name is not one.
    """
    hidden = [place for place in _added if place in sys.path]
    sys.path[:] = [place for place in sys.path if place not in hidden]
    try:
        yield
    finally:
        sys.path += hidden


def module_card_name(name: str) -> str:
    """The name that the card of ``module:Class`` will have; imports the class, and makes no object of it.

    Raises:
        BenchError: as `from_module`.
    """
    return _card_name(name, _class_of(name))


def from_entry_point(entry: EntryPoint, options: Options) -> Reranker:
    """Load the class that an installed package announces.

    Raises:
        BenchError: where the package cannot be imported, or what it announces is no reranker.
    """
    return _made(entry.name, _announced(entry), entry.module, options)


def entry_point_card_name(entry: EntryPoint) -> str:
    """As `module_card_name`, for the class that an installed package announces."""
    return _card_name(entry.name, _announced(entry))


def _announced(entry: EntryPoint) -> type:
    said = f"Cannot load the reranker {entry.name!r}, announced as {entry.value!r}"
    with _failures(said, "Install again the package that announces it, with what it depends on."):
        found: object = entry.load()
    return _checked_class(entry.name, found)


def _class_of(name: str) -> type:
    module_name, _, class_name = name.partition(":")
    outermost = module_name.partition(".")[0]
    file = _file_behind(outermost)
    fix = "Write it as 'module:Class'."
    if file:
        fix = (
            f"Another module is called {outermost!r} too, so {file.name} cannot import itself by that name: rename it."
        )
    _check_found(name, outermost, file)
    with _failures(f"Cannot load the reranker {name!r}", fix):
        found: object = _load_as_alias(module_name, file) if file else import_module(module_name)
        for part in class_name.split("."):
            found = getattr(found, part)
    return _checked_class(name, found)


def _check_found(name: str, outermost: str, file: Path | None) -> None:
    """Refuse a module that nothing has, before an import says so in Python's words."""
    if outermost.isidentifier() and file is None and outermost not in sys.modules and find_spec(outermost) is None:
        raise BenchError(
            f"Cannot load the reranker {name!r}: neither the current folder nor an installed package has a module "
            f"{outermost!r}. Check the name, or run the command in the folder that contains {outermost}.py."
        )


def _file_behind(outermost: str) -> Path | None:
    """The current folder's file of a module or package, if an import of that name would give another module.

    The current folder is the last place where imports look, so that no file in it takes the place of a library.
    """
    here = Path.cwd()
    if str(here) not in sys.path:
        sys.path.append(str(here))
        _added.append(str(here))
    for file in (here / outermost / "__init__.py", here / f"{outermost}.py"):
        if file.is_file():
            return file if _is_taken(outermost, file) else None
    return None


def _load_as_alias(module_name: str, file: Path) -> ModuleType:
    """Load a file whose name another module has already, under an alias that nothing else imports."""
    outermost, _, inner = module_name.partition(".")
    alias = _load_as(_ALIAS + outermost, file)
    return import_module(f"{alias}.{inner}") if inner else sys.modules[alias]


def _is_taken(name: str, file: Path) -> bool:
    """Whether importing a name gives another module than this file."""
    if name in sys.modules:
        origin = getattr(sys.modules[name], "__file__", None)
    else:
        spec = find_spec(name)
        origin = spec.origin if spec else str(file)
    return origin is None or not Path(origin).is_file() or not file.samefile(origin)


def _load_as(alias: str, file: Path) -> str:
    spec = spec_from_file_location(alias, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = module_from_spec(spec)
    sys.modules[alias] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[alias]
        raise
    return alias


def _checked_class(name: str, found: object) -> type:
    if not (inspect.isclass(found) and callable(getattr(found, "score", None))):
        raise BenchError(f"{name!r} is not a reranker: it must be a class with a method 'score(self, lists)'.")
    return found


def _card_name(name: str, kind: type) -> str:
    card = getattr(kind, "card", None)
    return card.name if isinstance(card, Card) else name


def _made(name: str, kind: type, module: str, options: Options) -> Reranker:
    make = cast(Callable[..., Any], kind)
    with _failures(f"Cannot make an object of {name!r}"):
        scorer = make(options) if inspect.signature(make).parameters else make()
    return _wrapped(name, scorer, module)


def _wrapped(name: str, scorer: Any, module: str = "", needs_source: bool = True) -> Own:
    """Give a user's object a card whose fingerprint covers its source files, its own fingerprint, and its own card.

    ``module`` is where the user named the class, which may have been made elsewhere. An object from a notebook need not
    have a source file.
    """
    with _failures(f"Cannot read the 'card' and 'fingerprint' of {name!r}"):
        card = _attribute(scorer, "card")
        own = _attribute(scorer, "fingerprint")
        own = own() if callable(own) else own
    if not isinstance(card, Card | None):
        raise BenchError(f"{name!r} has a 'card' that is not a bench.rerankers.base.Card.")
    if card and not (isinstance(card.needs, Set) and card.needs <= NEEDS):
        raise BenchError(
            f"{name!r} has a 'card' with the 'needs' {card.needs!r}: give a frozenset out of {sorted(NEEDS)}."
        )
    if own is not None and not (isinstance(own, str) and own):
        raise BenchError(f"{name!r} has a 'fingerprint' that is not a text: {own!r:.60}. Give a str that is not empty.")
    parts = [
        _source(name, type(scorer), module, optional=card is not None or not needs_source),
        own or "",
        card.fingerprint if card else "",
    ]
    cacheable = any(parts[1:])
    fingerprint = hashlib.sha256(f"own 2 {parts}".encode("utf-8", "surrogatepass")).hexdigest()
    card = replace(card, fingerprint=fingerprint) if card else Card(name=name, fingerprint=fingerprint, family="own")
    wrapper = OwnInBlocks if hasattr(scorer, "with_block_size") else Own
    return wrapper(scorer, card, cacheable)


def _attribute(scorer: Any, name: str) -> Any:
    """An attribute, or None where there is none; an AttributeError inside a property is an error like any other."""
    return getattr(scorer, name) if hasattr(type(scorer), name) else getattr(scorer, name, None)


def _source(name: str, kind: type, module: str, optional: bool) -> str:
    """Hash of the source that the class is made of, and of its name in it; "" where there is none and none is needed.

    A class may come from another module than the one it is named in: a factory's, a decorator's. Both count.

    Raises:
        BenchError: where there is no source file, or one cannot be read.
    """
    try:
        source = inspect.getsourcefile(kind)
    except (OSError, TypeError):
        source = None
    if source is None:
        if optional:
            return ""
        raise BenchError(f"{name!r} has no source file from which to identify its version. Give the class a 'card'.")
    try:
        home = kind.__module__.removeprefix(_ALIAS)
        made = f"{source_hash(Path(source), home)} {kind.__qualname__}"
        named = sys.modules.get(_ALIAS + module) or sys.modules.get(module)
        if named is None or home == module or not getattr(named, "__file__", None):
            return made
        return f"{made} {source_hash(Path(str(named.__file__)), module)} {name}"
    except OSError as error:
        raise BenchError(f"Cannot read the source of {name!r}: {error}.") from error


@contextmanager
def _failures(what: str, fix: str = "") -> Iterator[None]:
    """Turn whatever a user's code raises into one message that says where.

    Raises:
        BenchError: for any error and for an exit; those that are messages already stay as they are.
    """
    try:
        yield
    except BenchError:
        raise
    except (Exception, SystemExit) as error:
        raise BenchError(f"{what}: {type(error).__name__}: {error}{_place(error)}. {fix}".rstrip()) from error


def _place(error: BaseException) -> str:
    """The innermost line of the current folder's files that an error came from."""
    here = str(Path.cwd())
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(here) and not frame.filename.startswith(str(Path(__file__).parents[1])):
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""
