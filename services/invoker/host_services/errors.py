"""
How a call to the host is refused. The function gets each as an ``Error`` with this ``name`` and ``code``.

::

    HostServiceError
    ├── InvalidArgumentError      invalid_argument      the function asked for what cannot be
    ├── BlockchainError           blockchain_error      the node answered, with an error or a FAULT
    ├── HostNotAllowedError       host_not_allowed      the operator does not let functions reach that host
    ├── OracleError               oracle_error          the host answered, and not as it should
    ├── ServiceUnavailableError   service_unavailable   not configured, not reachable, or too slow
    └── ServiceFailedError        internal_error        a bug of ours; its text is not shown

A function may catch them. ``fields`` are further properties of the error, such as ``rpcCode``.
"""

from typing import Any, ClassVar


class HostServiceError(Exception):
    """A call was not answered as asked."""

    code: ClassVar[str]

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.fields = fields

    def told(self) -> dict[str, Any]:
        """Return what the function is told."""
        return {**self.fields, "name": type(self).__name__, "code": self.code, "message": str(self)}


class InvalidArgumentError(HostServiceError):
    """The arguments are not what the method takes."""

    code = "invalid_argument"


class BlockchainError(HostServiceError):
    """The node refused or the contract faulted."""

    code = "blockchain_error"


class HostNotAllowedError(HostServiceError):
    """The host is not on the operator's list, or its address is a private one."""

    code = "host_not_allowed"


class OracleError(HostServiceError):
    """What a host on the list answered cannot be used."""

    code = "oracle_error"


class ServiceUnavailableError(HostServiceError):
    """There is nobody to ask, or nobody answers in time."""

    code = "service_unavailable"


class ServiceFailedError(HostServiceError):
    """We failed; the log says how."""

    code = "internal_error"
