"""
What a handler says: which file of the package is meant, and what in it is called.

The form is that of the runtime's language, split as AWS Lambda's own runtimes split it
(contracts/gateways.md section 7)::

    nodejs*   api/index.run                            api/index.js         run
    python*   pkg.app.main, pkg/app.main               pkg/app.py           main
    ruby*     app.run, app.Class.run                   app.rb               run
    java*     com.example.Handler::run, or the class   Handler.java         run
    dotnet*   Assembly::Some.Space.Function::Run       Function.cs          Run
    go*       anything                                 main.go
    others    anything                                 index.js

A file obeys the rules of paths in packages. Whether it is there is seen when the function runs, as on AWS.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from keyword import iskeyword

from shared.domain.errors import InvalidPackageError, InvalidRequestError
from shared.packages.paths import clean_path

MAX_HANDLER = 128

_CLASS = re.compile(r"([A-Za-z_]\w*\.)*[A-Za-z_]\w*", re.ASCII)
_DOTNET_PARTS = 3


class Language(StrEnum):
    """What the files of a runtime are written in."""

    NODE = "nodejs"
    PYTHON = "python"
    RUBY = "ruby"
    JAVA = "java"
    DOTNET = "dotnet"
    GO = "go"
    PROVIDED = "provided"
    """Whatever makes the program ``bootstrap``; also what we do not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """
    A handler taken apart. ``members`` leads to what is called, from the outermost name in.

    ``space`` is the Java package or .NET namespace, ``owner`` the class where the language wants one.
    """

    language: Language
    file: str
    members: tuple[str, ...] = ()
    owner: str = ""
    space: str = ""


def language_of(runtime: str) -> Language:
    """Return the language of a runtime by its name; versions do not matter."""
    return next((language for language in Language if runtime.startswith(language.value)), Language.PROVIDED)


def parse_handler(runtime: str, handler: object) -> Handler:
    """
    Take a handler apart.

    Raises:
        InvalidRequestError: field ``handler``: it is not of the runtime's form.
    """
    if not isinstance(handler, str) or not handler:
        raise _wrong("must be a text that is not empty")
    if len(handler) > MAX_HANDLER or any(character.isspace() or not character.isprintable() for character in handler):
        raise _wrong(f"may have no white space and at most {MAX_HANDLER} characters")
    language = language_of(runtime)
    parsed = _PARSERS[language](handler)
    try:
        clean = clean_path(parsed.file)
    except InvalidPackageError as error:
        raise _wrong(f"names a file that {error.fields['issue']}") from error
    if clean != parsed.file:
        raise _wrong("names its file by a path with . in it")
    return parsed


def _node(handler: str) -> Handler:
    folder, slash, last = handler.rpartition("/")
    stem, _, exported = last.partition(".")
    members = tuple(exported.split("."))
    _demand(bool(stem) and all(members), "file.export, like index.handler")
    return Handler(language=Language.NODE, file=f"{folder}{slash}{stem}.js", members=members)


def _python(handler: str) -> Handler:
    module, _, function = handler.rpartition(".")
    named = function.isidentifier() and not iskeyword(function)
    _demand(bool(module) and named, "file.function, like lambda_function.lambda_handler")
    _demand(not module.startswith(".") and ".." not in module, "a module that is not relative")
    return Handler(language=Language.PYTHON, file=f"{module.replace('.', '/')}.py", members=(function,))


def _ruby(handler: str) -> Handler:
    folder, slash, last = handler.rpartition("/")
    stem, _, rest = last.partition(".")
    owner, _, method = rest.rpartition(".")
    named = method.isidentifier() and (not owner or re.fullmatch(r"[A-Z]\w*(::[A-Z]\w*)*", owner))
    _demand(bool(stem) and bool(named), "file.method or file.Class.method")
    return Handler(language=Language.RUBY, file=f"{folder}{slash}{stem}.rb", members=(method,), owner=owner)


def _java(handler: str) -> Handler:
    path, separator, method = handler.partition("::")
    named = _CLASS.fullmatch(path) and (not separator or method.isidentifier())
    _demand(bool(named), "package.Class::method, like com.example.Handler::handleRequest")
    space, _, owner = path.rpartition(".")
    return Handler(
        language=Language.JAVA, file=f"{owner}.java", members=(method or "handleRequest",), owner=owner, space=space
    )


def _dotnet(handler: str) -> Handler:
    parts = handler.split("::")
    named = len(parts) == _DOTNET_PARTS and parts[0] and _CLASS.fullmatch(parts[1]) and parts[2].isidentifier()
    _demand(bool(named), "Assembly::Namespace.Class::Method")
    space, _, owner = parts[1].rpartition(".")
    return Handler(language=Language.DOTNET, file=f"{owner}.cs", members=(parts[2],), owner=owner, space=space)


def _go(_handler: str) -> Handler:
    return Handler(language=Language.GO, file="main.go")


def _provided(_handler: str) -> Handler:
    return Handler(language=Language.PROVIDED, file="index.js")


_PARSERS: dict[Language, Callable[[str], Handler]] = {
    Language.NODE: _node,
    Language.PYTHON: _python,
    Language.RUBY: _ruby,
    Language.JAVA: _java,
    Language.DOTNET: _dotnet,
    Language.GO: _go,
    Language.PROVIDED: _provided,
}


def _demand(good: bool, form: str) -> None:  # noqa: FBT001 - a condition and what it is about
    if not good:
        raise _wrong(f"must be {form}")


def _wrong(issue: str) -> InvalidRequestError:
    return InvalidRequestError(f"handler {issue}", field="handler", issue=issue)
