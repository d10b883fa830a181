"""
``services.blockchain``: reading a Neo N3 chain through an ordinary node (contracts/neo.md section 4).

Nothing here signs or sends: no key is held. Amounts are whole numbers until they are decimal strings. A method
that a contract does not have, or that faults, is an error, never an empty answer. ``assets`` and the conversions
of addresses are beside the function, in ``runtimes/node/services.js``.
"""

import re
from collections.abc import Mapping
from typing import Any

from services.invoker.host_services import arguments as read
from services.invoker.host_services.addresses import SCRIPT_HASH_DIGITS, address_to_script_hash, hex_digits
from services.invoker.host_services.amounts import in_tokens
from services.invoker.host_services.contract_arguments import base64_text, contract_arguments
from services.invoker.host_services.errors import BlockchainError, ServiceUnavailableError
from services.invoker.host_services.neo_rpc import NeoRpc
from services.invoker.host_services.services import Method

NEO = "ef4073a0f2b305a38ec4050e4d3d28bc40ea63f5"
GAS = "d2a4cff31913016155e38e474a2c06d08be276cf"
_BY_NAME = {"NEO": NEO, "GAS": GAS}
_HASH_DIGITS = 64
_MOST_BLOCKS = 2**32 - 1
_MOST_DECIMALS = 255
_REMEMBERED_ASSETS = 1000
_LONGEST_NAME = 128
_INTEGER = re.compile(r"-?[0-9]{1,80}", re.ASCII)


class Blockchain:
    """Reads through one node; None when none is configured."""

    def __init__(self, rpc: NeoRpc | None) -> None:
        self._rpc = rpc
        self._decimals = {NEO: 0, GAS: 8}

    def methods(self) -> Mapping[str, Method]:
        """Return what functions may call."""
        return {
            "getBalance": self._balance,
            "getBalances": self._balances,
            "getBlockCount": self._block_count,
            "getBlockHeight": self._block_height,
            "getBlock": self._block,
            "getTransaction": self._transaction,
            "getApplicationLog": self._application_log,
            "getStorage": self._storage,
            "invokeRead": self._invoke_read,
        }

    async def _balance(self, arguments: list[Any]) -> str:
        node = self._node()
        given = read.fields(read.first(arguments), "{address, asset}")
        holder = {"type": "Hash160", "value": address_to_script_hash(given.get("address"))}
        asset = _contract(given.get("asset"), "asset")
        amount = _integer(await _run(node, asset, "balanceOf", [holder]), "balanceOf")
        return in_tokens(amount, await self._decimals_of(node, asset))

    async def _balances(self, arguments: list[Any]) -> list[dict[str, Any]]:
        node = self._node()
        address = read.fields(read.first(arguments), "{address}").get("address")
        address_to_script_hash(address)
        answer = await node.call("getnep17balances", address)
        try:
            found = [_balance_of(each) for each in answer["balance"]]
        except (KeyError, TypeError, ValueError) as error:
            raise BlockchainError("the node's list of balances cannot be read") from error
        return sorted(found, key=lambda each: str(each["asset"]))

    async def _block_count(self, arguments: list[Any]) -> int:  # noqa: ARG002 - a method takes arguments
        count = await self._node().call("getblockcount")
        if not isinstance(count, int):
            raise BlockchainError("the node's count of blocks cannot be read")
        return count

    async def _block_height(self, arguments: list[Any]) -> int:
        return await self._block_count(arguments) - 1

    async def _block(self, arguments: list[Any]) -> Any:
        node, given = self._node(), read.first(arguments)
        if isinstance(given, str):
            return await node.call("getblock", _hash(given, "the hash of a block"), 1)
        return await node.call("getblock", read.whole(given, "the index of a block", 0, _MOST_BLOCKS), 1)

    async def _transaction(self, arguments: list[Any]) -> Any:
        node = self._node()
        return await node.call("getrawtransaction", _hash(read.first(arguments), "the hash of a transaction"), 1)

    async def _application_log(self, arguments: list[Any]) -> Any:
        node = self._node()
        return await node.call("getapplicationlog", _hash(read.first(arguments), "the hash of a transaction or block"))

    async def _storage(self, arguments: list[Any]) -> Any:
        node = self._node()
        contract = _contract(read.first(arguments), "contract")
        return await node.call("getstorage", f"0x{contract}", base64_text(read.second(arguments), "the key"))

    async def _invoke_read(self, arguments: list[Any]) -> dict[str, Any]:
        node = self._node()
        given = read.fields(read.first(arguments), "{contract, method, args}")
        contract = _contract(given.get("contract"), "contract")
        method = read.text(given.get("method"), "method", _LONGEST_NAME)
        ran = await _run(node, contract, method, contract_arguments(given.get("args")))
        return {
            "state": ran.get("state"),
            "stack": ran.get("stack"),
            "gasConsumed": ran.get("gasconsumed"),
            "exception": ran.get("exception"),
        }

    def _node(self) -> NeoRpc:
        if self._rpc is None:
            raise ServiceUnavailableError("no Neo N3 node is configured (TIDEMILL_NEO_RPC_URL)")
        return self._rpc

    async def _decimals_of(self, node: NeoRpc, asset: str) -> int:
        """Return the decimals of a token; they never change, so each is asked for once."""
        decimals = self._decimals.get(asset)
        if decimals is None:
            decimals = _integer(await _run(node, asset, "decimals", []), "decimals")
            if not 0 <= decimals <= _MOST_DECIMALS:
                raise BlockchainError(f"the contract says it has {decimals} decimals")
            if len(self._decimals) < _REMEMBERED_ASSETS:
                self._decimals[asset] = decimals
        return decimals


async def _run(node: NeoRpc, contract: str, method: str, arguments: list[dict[str, Any]]) -> dict[str, Any]:
    """Run a method of a contract on the node and return what came of it; a fault is an error."""
    ran = await node.call("invokefunction", f"0x{contract}", method, arguments)
    if not isinstance(ran, dict):
        raise BlockchainError("the node's answer to invokefunction cannot be read")
    if ran.get("state") != "HALT":
        told = ran.get("exception") or "the contract faulted"
        raise BlockchainError(str(told), state=ran.get("state"), gasConsumed=ran.get("gasconsumed"))
    return ran


def _integer(ran: dict[str, Any], method: str) -> int:
    match ran.get("stack"):
        case [{"type": "Integer", "value": str(value)}] if _INTEGER.fullmatch(value):
            return int(value)
    raise BlockchainError(f"{method} of this contract did not answer with an Integer")


def _balance_of(told: dict[str, Any]) -> dict[str, Any]:
    amount, decimals = int(told["amount"]), int(told["decimals"])
    return {
        "asset": told["assethash"],
        "symbol": told["symbol"],
        "decimals": decimals,
        "amount": str(amount),
        "balance": in_tokens(amount, decimals),
    }


def _contract(given: object, what: str) -> str:
    """Return the script hash of a contract given by it, or by NEO or GAS in any case."""
    named = _BY_NAME.get(given.upper()) if isinstance(given, str) else None
    if named is not None:
        return named
    return hex_digits(given, SCRIPT_HASH_DIGITS, f"{what} is NEO, GAS or a script hash, which")


def _hash(given: object, what: str) -> str:
    return "0x" + hex_digits(given, _HASH_DIGITS, what)
