'use strict';
// Neo N3 addresses: base58 of a version byte, the script hash in reverse, and four bytes of a double SHA-256.
// Both functions are pure and return undefined for what is not an address or not a script hash.

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const VERSION = 0x35;
const ADDRESS = /^[1-9A-HJ-NP-Za-km-z]{34}$/;
const SCRIPT_HASH = /^(?:0x)?([0-9a-fA-F]{40})$/;
const BYTES = 25;

// Loaded when it is needed: most workers never do.
const sha256 = (bytes) => require('node:crypto').createHash('sha256').update(bytes).digest();
const checksum = (bytes) => sha256(sha256(bytes)).subarray(0, 4);

function scriptHashOf(address) {
  if (typeof address !== 'string' || !ADDRESS.test(address)) return undefined;
  let number = 0n;
  for (const digit of address) number = number * 58n + BigInt(ALPHABET.indexOf(digit));
  const hex = number.toString(16).padStart(BYTES * 2, '0');
  if (hex.length !== BYTES * 2) return undefined;
  const bytes = Buffer.from(hex, 'hex');
  if (bytes[0] !== VERSION || !checksum(bytes.subarray(0, 21)).equals(bytes.subarray(21))) return undefined;
  return bytes.subarray(1, 21).reverse().toString('hex');
}

function addressOf(scriptHash) {
  const found = typeof scriptHash === 'string' && SCRIPT_HASH.exec(scriptHash);
  if (!found) return undefined;
  const bytes = Buffer.concat([Buffer.of(VERSION), Buffer.from(found[1], 'hex').reverse()]);
  let number = BigInt(`0x${Buffer.concat([bytes, checksum(bytes)]).toString('hex')}`);
  let address = '';
  for (; number > 0n; number /= 58n) address = ALPHABET[Number(number % 58n)] + address;
  return address;
}

module.exports = { addressOf, scriptHashOf };
