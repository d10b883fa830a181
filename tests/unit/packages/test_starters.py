"""Handlers taken apart, and the first file of a function: what it is called, and that it answers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import InvalidRequestError
from shared.domain.runtime import Family
from shared.packages.handlers import parse_handler
from shared.packages.starters import MESSAGE, starter_files, warning_of
from shared.process.node_programs import find_node

FILES = [
    ("nodejs20.x", "index.handler", "index.js"),
    ("nodejs20.x", "api.run", "api.js"),
    ("nodejs18.x", "src/v1.2/api.run", "src/v1.2/api.js"),
    ("nodejs16.x", "index.handlers.run", "index.js"),
    ("python3.12", "lambda_function.lambda_handler", "lambda_function.py"),
    ("python3.12", "pkg/app.main", "pkg/app.py"),
    ("python3.11", "pkg.app.main", "pkg/app.py"),
    ("ruby3.2", "lambda_function.lambda_handler", "lambda_function.rb"),
    ("ruby3.2", "app.Some::Thing.run", "app.rb"),
    ("java21", "com.example.Handler::handleRequest", "Handler.java"),
    ("java8.al2", "com.example.Upper", "Upper.java"),
    ("dotnet8", "MyFunction::MyFunction.Function::FunctionHandler", "Function.cs"),
    ("go1.x", "main", "main.go"),
    ("provided.al2023", "whatever", "index.js"),
    ("cobol1", "main", "index.js"),
]
WRONG = [
    ("nodejs20.x", "handler"),
    ("nodejs20.x", "index."),
    ("nodejs20.x", ".handler"),
    ("nodejs20.x", "../x.handler"),
    ("nodejs20.x", "/x.handler"),
    ("nodejs20.x", "./x.handler"),
    ("nodejs20.x", "a\\b.handler"),
    ("nodejs20.x", "a//b.handler"),
    ("nodejs20.x", "in dex.handler"),
    ("nodejs20.x", ""),
    ("nodejs20.x", None),
    ("nodejs20.x", "index." + "h" * 128),
    ("python3.12", "lambda_handler"),
    ("python3.12", "../app.main"),
    ("python3.12", "app.1main"),
    ("python3.12", "app."),
    ("python3.12", "app.²"),
    ("python3.12", "app.import"),
    ("ruby3.2", "app"),
    ("ruby3.2", "app.thing.run"),
    ("java21", "com.example.::run"),
    ("java21", "com.example.Handler::"),
    ("java21", "com/example/Handler::run"),
    ("dotnet8", "MyFunction.Function::FunctionHandler"),
    ("dotnet8", "A::B.C::"),
    ("go1.x", ""),
]


@pytest.mark.parametrize(("runtime", "handler", "file"), FILES)
def test_the_handler_decides_the_name_of_the_starter(runtime: str, handler: str, file: str) -> None:
    (path, text), *others = starter_files(runtime, handler).items()

    assert (path, others) == (file, [])
    assert MESSAGE in text


@pytest.mark.parametrize(("runtime", "handler"), WRONG)
def test_a_handler_that_is_not_of_the_runtimes_form_is_refused(runtime: str, handler: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_handler(runtime, handler)

    assert caught.value.fields["field"] == "handler"


def test_what_must_be_compiled_first_is_said() -> None:
    assert warning_of("nodejs20.x", "index.handler") is None
    assert "Java source and is not compiled" in str(warning_of("java21", "a.B::c"))
    assert "bootstrap" in str(warning_of("provided.al2", "x"))


def written(directory: Path, runtime: str, handler: str) -> Path:
    (path, text), *_ = starter_files(runtime, handler).items()
    target = directory / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def run(directory: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def answers(text: str) -> None:
    answer: dict[str, Any] = json.loads(text)
    assert answer["statusCode"] == 200
    assert answer["headers"] == {"Content-Type": "application/json"}
    assert json.loads(answer["body"]) == {"message": MESSAGE, "event": {"a": 1}}


@pytest.mark.parametrize(
    ("handler", "path"), [("index.handler", ".handler"), ("api/index.a.b", ".a.b"), ("index.a-b", "['a-b']")]
)
def test_the_starter_of_node_answers(handler: str, path: str, tmp_path: Path) -> None:
    file = written(tmp_path, "nodejs20.x", handler)
    called = f"require({json.dumps(str(file))}){path}({{a: 1}})"
    script = f"{called}.then((answer) => console.log(JSON.stringify(answer)))"

    answers(run(tmp_path, str(find_node(Family.NODE)), "-e", script))


def test_the_starter_of_python_answers(tmp_path: Path) -> None:
    written(tmp_path, "python3.12", "pkg/app.main")
    script = "import json, pkg.app; print(json.dumps(pkg.app.main({'a': 1}, None)))"

    answers(run(tmp_path, sys.executable, "-c", script))


CONTEXT = "package com.amazonaws.services.lambda.runtime; public interface Context {}"
REQUEST_HANDLER = """package com.amazonaws.services.lambda.runtime;
public interface RequestHandler<I, O> { O handleRequest(I input, Context context); }
"""
CALL = """import java.util.List;
import java.util.Map;
public class Call {
    public static void main(String[] a) {
        Map<String, Object> event = Map.of("a", List.of("say \\"hi\\"\\n", 1, 2.5, true, Map.of()));
        System.out.print(new com.example.Upper().run(event, null).get("body"));
    }
}
"""
GO_LAMBDA = """package lambda

import (
	"context"
	"encoding/json"
	"os"
	"reflect"
)

func Start(handle any) {
	event := reflect.ValueOf(json.RawMessage(`{"a": 1}`))
	out := reflect.ValueOf(handle).Call([]reflect.Value{reflect.ValueOf(context.Background()), event})
	json.NewEncoder(os.Stdout).Encode(out[0].Interface())
}
"""
GO_MODULE = """module starter

go 1.18

require github.com/aws/aws-lambda-go v1.0.0

replace github.com/aws/aws-lambda-go => ./sdk
"""


def go_module(directory: Path) -> None:
    """Put a module around a starter, with a stand-in for AWS's library that calls the handler once."""
    (directory / "sdk/lambda").mkdir(parents=True)
    (directory / "sdk/go.mod").write_text("module github.com/aws/aws-lambda-go\n\ngo 1.18\n")
    (directory / "sdk/lambda/lambda.go").write_text(GO_LAMBDA)
    (directory / "go.mod").write_text(GO_MODULE)
    written(directory, "go1.x", "main")


def test_the_starters_of_other_languages_run_where_there_is_a_compiler(tmp_path: Path) -> None:
    """Node and Python are always there; of the others this machine may have some."""
    if shutil.which("ruby"):
        run(tmp_path, "ruby", "-c", str(written(tmp_path, "ruby3.2", "app.Some::Thing.run")))
    if shutil.which("javac"):
        (tmp_path / "Context.java").write_text(CONTEXT)
        (tmp_path / "RequestHandler.java").write_text(REQUEST_HANDLER)
        (tmp_path / "Call.java").write_text(CALL)
        written(tmp_path, "java21", "com.example.Upper::run")
        oldest = ["-Xlint:-options", "--release", "8"]
        run(tmp_path, "javac", *oldest, "-d", "out", "Context.java", "RequestHandler.java", "Upper.java")
        run(tmp_path, "javac", "-cp", "out", "-d", "out", "Call.java")
        body = run(tmp_path, "java", "-cp", "out", "Call")
        assert json.loads(body) == {"message": MESSAGE, "event": {"a": ['say "hi"\n', 1, 2.5, True, {}]}}
    if shutil.which("go"):
        go_module(tmp_path)
        assert run(tmp_path, "gofmt", "-l", ".") == ""
        answers(run(tmp_path, "go", "run", "."))
