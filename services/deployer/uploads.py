"""
The package a deployment asks for, made of what was given: one source file, the text files of a zip, one changed file.

A change of one file is made on the package that is active when the deployment is carried out: whoever asked for it
saw that package or an older one, and the change itself says when it does not fit. Works in a thread.
"""

import asyncio

import orjson

from shared.database.deployments import Deployment
from shared.domain.errors import FunctionNotFoundError, InternalError
from shared.domain.function import Function
from shared.packages.files import Edit, edited
from shared.packages.package import build_package
from shared.packages.store import PackageStore
from shared.packages.text import text_package

SOURCE_FILE = "index.js"
BUILT = ("source", "text", "edit")
"""The kinds of uploads that a package is made of here."""


async def built(deployment: Deployment, active: Function | None, packages: PackageStore) -> bytes:
    """
    Return the package of a deployment whose upload is one of ``BUILT``.

    Raises:
        PlatformError: the upload, or the change, is refused.
        NotFoundError: what it is made of is not in the package store.
    """
    source = deployment.source or ""
    match deployment.upload_kind:
        case "source":
            return await asyncio.to_thread(build_package, {SOURCE_FILE: source.encode()})
        case "text":
            return await asyncio.to_thread(text_package, await packages.get(deployment.upload_sha256 or ""))
        case "edit":
            if active is None:
                raise FunctionNotFoundError("no such function")
            package = await packages.get(active.version.package_sha256)
            return await asyncio.to_thread(edited, package, Edit.of_data(orjson.loads(source)))
        case _:
            raise InternalError("there is nothing to make a package of", kind=str(deployment.upload_kind))
