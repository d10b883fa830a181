'use strict';
// What a Neo function may ask of its host: `context.services` and `fetch`.
//
// The sandbox has no way to the outside. A call is a frame to the supervisor, which performs it and answers with
// another; `Calls` matches the two by number and holds the limits that the supervisor holds too (there a call beyond
// them ends the process, since only code that goes around this file can make one). `inside` is the author's side of
// it: it runs in the author's realm, so that its objects, promises and errors are the realm's own, and only text
// passes between the two.

const { isAnyArrayBuffer } = require('node:util').types;
const addresses = require('./addresses.js');

// The calls of one run. `host.ask(number, body)` sends one, `host.hold(yes)` keeps the event loop alive for answers.
class Calls {
  constructor(host, limits) {
    this.host = host;
    this.limits = limits;
    this.made = 0;
    this.pending = new Map();
    this.waiting = [];
    this.ended = false;
  }

  // What `inside` is given. `settle(text, failed)` gets the answer, or the error, as JSON.
  bridge() {
    return {
      ask: (text, settle) => this.ask(Buffer.from(text), settle),
      scriptHashOf: addresses.scriptHashOf,
      addressOf: addresses.addressOf,
      encode: base64Of,
      text: (body) => new TextDecoder().decode(Buffer.from(body, 'base64')),
      size: (body) => Buffer.byteLength(body, 'base64'),
      fill: (body, array) => Buffer.from(body, 'base64').copy(array),
    };
  }

  ask(body, settle) {
    if (this.ended) return;
    const { most, bytes } = this.limits;
    if (this.made + this.waiting.length >= most) {
      refuse(settle, 'CallLimitError', 'call_limit_exceeded', `a run may call its host ${most} times`);
    } else if (body.length > bytes) {
      refuse(settle, 'InvalidArgumentError', 'invalid_argument', `the arguments are larger than ${bytes} bytes`);
    } else {
      this.waiting.push([body, settle]);
      this.next();
    }
  }

  next() {
    while (this.waiting.length > 0 && this.pending.size < this.limits.at_once) {
      const [body, settle] = this.waiting.shift();
      this.made += 1;
      this.pending.set(this.made, settle);
      this.host.ask(this.made, body);
    }
    this.host.hold(this.pending.size > 0);
  }

  answer(number, failed, body) {
    const settle = this.pending.get(number);
    if (settle === undefined) return;
    this.pending.delete(number);
    this.next();
    settle(body.toString(), failed);
  }

  // The run has ended: nobody waits any more, and an answer that comes late is nobody's.
  close() {
    this.ended = true;
    this.pending.clear();
    this.waiting.length = 0;
  }
}

function refuse(settle, name, code, message) {
  settle(JSON.stringify({ name, code, message }), true);
}

// The body of a request as base64; undefined when it is nothing that can be sent.
function base64Of(body) {
  if (typeof body === 'string') return Buffer.from(body).toString('base64');
  if (body instanceof URLSearchParams) return Buffer.from(String(body)).toString('base64');
  if (ArrayBuffer.isView(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64');
  if (isAnyArrayBuffer(body)) return Buffer.from(body).toString('base64');
  return undefined;
}

function inside(bridge) {
  const { parse, stringify } = JSON;
  const { defineProperty, entries, freeze, keys } = Object;
  const ASSETS = freeze({
    NEO: '0xef4073a0f2b305a38ec4050e4d3d28bc40ea63f5',
    GAS: '0xd2a4cff31913016155e38e474a2c06d08be276cf',
  });

  // An error is made when the call is, so that its stack shows the author's line; `stub` and all above it are cut.
  function prepare(stub) {
    const error = new Error();
    Error.captureStackTrace(error, stub);
    return error;
  }

  function tell(error, told) {
    const hide = (name, value) => defineProperty(error, name, { value, writable: true, configurable: true });
    const [, ...frames] = String(error.stack).split('\n');
    hide('message', told.message);
    hide('name', told.name);
    hide('stack', [`${told.name}: ${told.message}`, ...frames].join('\n'));
    for (const field of keys(told)) if (field !== 'name' && field !== 'message') error[field] = told[field];
    return error;
  }

  function invalid(error, message) {
    return tell(error, { name: 'InvalidArgumentError', code: 'invalid_argument', message });
  }

  function ask(service, method, args, stub) {
    const error = prepare(stub);
    return new Promise((resolve, reject) => {
      let text;
      try {
        text = stringify({ service, method, args });
      } catch (problem) {
        reject(invalid(error, `the arguments are not JSON: ${problem.message}`));
        return;
      }
      bridge.ask(text, (answer, failed) => (failed ? reject(tell(error, parse(answer))) : resolve(parse(answer))));
    });
  }

  function client(service, names, own) {
    const made = { ...own };
    for (const name of names) {
      made[name] = { [name]: (...args) => ask(service, name, args, made[name]) }[name];
    }
    return freeze(made);
  }

  function addressToScriptHash(address) {
    const hash = bridge.scriptHashOf(address);
    if (hash === undefined) throw invalid(prepare(addressToScriptHash), 'this is not a Neo N3 address');
    return hash;
  }

  function scriptHashToAddress(hash) {
    const address = bridge.addressOf(hash);
    if (address === undefined) throw invalid(prepare(scriptHashToAddress), 'a script hash has 40 hex digits');
    return address;
  }

  const blockchain = client(
    'blockchain',
    ['getBalance', 'getBalances', 'getBlockCount', 'getBlockHeight', 'getBlock', 'getTransaction', 'getApplicationLog', 'getStorage', 'invokeRead'],
    { assets: ASSETS, addressToScriptHash, scriptHashToAddress, isAddress: (address) => bridge.scriptHashOf(address) !== undefined },
  );

  function headerPairs(given) {
    if (given === undefined || given === null) return [];
    const pairs = typeof given[Symbol.iterator] === 'function' ? [...given] : entries(given);
    return pairs.map(([name, value]) => [String(name), String(value)]);
  }

  function headersOf(pairs) {
    const map = new Map(pairs);
    return {
      get: (name) => map.get(String(name).toLowerCase()) ?? null,
      has: (name) => map.has(String(name).toLowerCase()),
      forEach: (act) => map.forEach((value, name) => act(value, name)),
      keys: () => map.keys(),
      values: () => map.values(),
      entries: () => map.entries(),
      [Symbol.iterator]: () => map.entries(),
    };
  }

  function responseOf({ url, status, statusText, redirected, headers, body }) {
    return {
      url, status, statusText, redirected,
      ok: status >= 200 && status < 300,
      headers: headersOf(headers),
      text: async () => bridge.text(body),
      json: async () => parse(bridge.text(body)),
      arrayBuffer: async () => {
        const array = new Uint8Array(bridge.size(body));
        bridge.fill(body, array);
        return array.buffer;
      },
    };
  }

  function fetch(input, init) {
    const { method, headers, body, redirect, timeout, signal } = init ?? {};
    const request = { url: String(input), method, headers: headerPairs(headers), redirect, timeout };
    if (body !== undefined && body !== null) {
      request.body = bridge.encode(body);
      if (request.body === undefined) return Promise.reject(invalid(prepare(fetch), 'this kind of body cannot be sent'));
    }
    const answered = ask('http', 'fetch', [request], fetch).then(responseOf);
    return signal === undefined || signal === null ? answered : Promise.race([answered, aborted(signal)]);
  }

  function aborted(signal) {
    const error = prepare(fetch);
    return new Promise((_, reject) => {
      const abort = () => reject(tell(error, { name: 'AbortError', code: 'aborted', message: 'this request was aborted' }));
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort);
    });
  }

  const services = freeze({
    blockchain,
    random: client('random', ['generate', 'bytes']),
    oracle: client('oracle', ['fetch']),
    priceFeed: client('priceFeed', ['getPrice']),
  });
  return { services, fetch };
}

module.exports = { Calls, INSIDE: `'use strict'; (${inside})` };
