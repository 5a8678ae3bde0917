"""Text from collections and results, made harmless for the place where it is shown.

Queries, documents and ids come from anywhere. Each function here first makes visible what a reader would not see
(control characters, terminal sequences, marks that reverse the writing direction, characters without a glyph), then
quotes what the target's own syntax would act upon.
"""

import re
import shlex

_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, among them the escape that starts terminal sequences
    "\u00ad\u200b\u2060-\u2064\ufeff"  # no width; the joiners U+200C and U+200D stay: Persian and Hindi need them
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # writing direction (Trojan Source, CVE-2021-42574)
    "\u2028\u2029\ufff9-\ufffb\ufffe\uffff"  # line ends of other kinds, annotations, what XML 1.0 forbids
    "\ud800-\udfff\U000e0000-\U000e007f]"  # halves of pairs, which UTF-8 cannot hold; invisible tags
)
_SPACE = re.compile("[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
_MARKDOWN = str.maketrans(
    {character: f"\\{character}" for character in "\\`*_[]{}()#!|~$^"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
_LOGIN = re.compile(r"(:/{1,2})[^/\s@]+@")
_MENTION = re.compile(r"(?<![A-Za-z0-9])@(?=[A-Za-z0-9])")
_LINK = re.compile(r"(?<=[A-Za-z]):(?=//)|(?<=www)\.", re.IGNORECASE)
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "{}$&#%_"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "`": r"\textasciigrave{}",
    }
)


def terminal(text: str) -> str:
    """One line of text in which nothing acts on a terminal: an escape character reads ``\\x1b``, line ends are spaces.

    It is also legal as XML 1.0 character data once a writer such as ElementTree has quoted its markup. Rich would
    still read ``[red]`` as a style: give it ``rich.text.Text(terminal(text))``, which it does not parse.
    """
    return _UNSEEN.sub(_visible, _SPACE.sub(" ", text))


def without_login(text: str) -> str:
    """Text without the user names and passwords of its URLs."""
    return _LOGIN.sub(r"\1***@", text)


def shell_word(text: str) -> str:
    """A word for a shell, which reads it as the text; what acts on a terminal is escaped as bash and zsh read it."""
    if terminal(text) == text:
        return shlex.quote(text)
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_UNSEEN.sub(_bytes, quoted)}'"


def markdown_cell(text: str) -> str:
    """Text for a cell of a GitHub table: no pipe ends the cell, nothing is markup, HTML, formula, link or mention."""
    quoted = terminal(text).translate(_MARKDOWN)
    # A backslash does not stop GitHub's own links and mentions, a character reference does.
    return _LINK.sub(lambda match: f"&#{ord(match[0])};", _MENTION.sub("&#64;", quoted))


def latex(text: str) -> str:
    """Text for LaTeX's text mode (T1 or a Unicode engine), where no character starts a command, formula or comment."""
    return terminal(text).translate(_LATEX)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _bytes(match: re.Match[str]) -> str:
    # A path that is not UTF-8 has its bytes in the second half of the pairs; the others are in no path.
    errors = "surrogateescape" if "\udc80" <= match[0] <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", errors))
