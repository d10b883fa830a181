"""What a request asks for behind the question mark."""

from aiohttp import web


def raw_query(request: web.BaseRequest) -> str:
    """Return the query as it was sent: RQL is not made of names and values."""
    return request.raw_path.partition("#")[0].partition("?")[2]
