'use strict';
// One run of a Neo function, as the process sees it: a realm of its own, made before the run is asked for, and what
// the realm may ask of the process while the run lasts. `realm.js` is the other side.

const util = require('node:util');
const vm = require('node:vm');
const clone = require('./clone.js');
const hardening = require('./harden.js');
const { dropped, record } = require('./log.js');
const realm = require('./realm.js');
const samples = require('./samples.js');
const services = require('./services.js');
const { withoutOurFrames } = require('./stack.js');

// Newer versions make a realm that asks no object of ours for each of its globals.
const PLAIN_REALM = vm.constants?.DONT_CONTEXTIFY;
const MOST_LINES = 1000;
const LONGEST_LINE = 4096;
// The classes that are lent; those that come with another of their group are frozen with it.
const GROUPS = [
  ['Buffer'], ['URL', 'URLSearchParams'], ['TextEncoder'], ['TextDecoder'], ['AbortController', 'AbortSignal', 'Event', 'EventTarget', 'DOMException'],
].map((names) => names.filter((name) => globalThis[name] !== undefined));
const CLASSES = GROUPS.flat();

const script = (file, text) => new vm.Script(text, { filename: `/runtime/${file}` });
const SCRIPTS = { realm: script('realm.js', realm.INSIDE), services: script('services.js', services.INSIDE), clone: script('clone.js', clone.INSIDE) };

let begun = false;
let opened;

// Before an author gets anything of the process.
function begin(...roots) {
  if (!begun) hardening.begin();
  begun = true;
  hardening.harden(...roots);
}

// What authors may get of the process: each class and module is frozen when one first asks for it.
function open() {
  if (opened !== undefined) return opened;
  begin();
  hardening.hardenLanguage();
  opened = { language: hardening.language, harden: (value) => (hardening.harden(value), value), lend, load };
  return opened;
}

const frozen = new Set();

function lend(name) {
  const group = GROUPS.find((names) => names.includes(name));
  freezeOnce(name, group.map((each) => globalThis[each]), () => group.flatMap((each) => samples.classes[each]?.() ?? []));
  return globalThis[name];
}

function load(name) {
  const module = require(`node:${name}`);
  freezeOnce(`node:${name}`, [module], () => samples.modules[name]?.(module) ?? []);
  return module;
}

function freezeOnce(name, roots, sample) {
  if (frozen.has(name)) return;
  frozen.add(name);
  hardening.harden(...roots);
  hardening.hardenBehind(...sample());
}

class Run {
  constructor(compiled, calls, uncaught) {
    this.calls = calls;
    this.uncaught = uncaught;
    this.ended = false;
    this.lines = 0;
    this.timers = new Map();
    this.lastTimer = 0;
    // Without a prototype: a global that is not found would be looked for in it, and it is the process's.
    const globals = PLAIN_REALM === undefined ? Object.create(null) : undefined;
    this.context = vm.createContext(globals ?? PLAIN_REALM);
    this.guest = SCRIPTS.realm.runInContext(this.context)(this.host(), globals);
    this.compiled = compiled.runInContext(this.context);
  }

  start(context, settled, failed) {
    this.guest.start(this.compiled, context, settled, failed);
  }

  // Nothing of the run may go on: what it still does of itself is neither logged nor waited for.
  end() {
    this.ended = true;
    for (const id of this.timers.keys()) this.stop(id);
    this.calls.close();
    hardening.restore();
  }

  // Tells whether a value that was thrown comes from this run: a leftover of an earlier one has another realm.
  owns(value) {
    const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
    return !isObject || value instanceof Object || this.guest.owns(value);
  }

  host() {
    return {
      log: (level, parts) => this.log(level, parts),
      table: tableOf,
      now: () => performance.now(),
      start: (isImmediate, repeats, milliseconds, action) => this.startTimer(isImmediate, repeats, milliseconds, action),
      stop: (id) => this.stop(id),
      ref: (id, yes) => this.timers.get(id)?.handle[yes ? 'ref' : 'unref'](),
      hasRef: (id) => this.timers.get(id)?.handle.hasRef() ?? false,
      refresh: (id) => this.timers.get(id)?.handle.refresh(),
      uncaught: this.uncaught,
      atob,
      btoa,
      randomUUID: () => require('node:crypto').randomUUID(),
      fill: fillWithRandom,
      names: () => CLASSES,
      open,
      clones: () => globalThis.structuredClone !== undefined,
      cloner: () => (exceptionClass) => SCRIPTS.clone.runInContext(this.context)(clone.host, exceptionClass),
      exception,
      services: () => (guarded) => this.services(guarded),
    };
  }

  services(guarded) {
    const bridge = this.calls.bridge();
    const wrapped = Object.fromEntries(Object.entries(bridge).map(([name, action]) => [name, guarded(action)]));
    return SCRIPTS.services.runInContext(this.context)(wrapped);
  }

  log(level, parts) {
    if (this.ended) return;
    this.lines += 1;
    if (this.lines > MOST_LINES) {
      dropped();
      return;
    }
    let text = '';
    for (let index = 0; index < parts.length; index += 1) {
      const part = parts[index];
      text += (index === 0 ? '' : ' ') + (typeof part === 'string' ? part : shown(part));
    }
    record(level, text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}…(truncated)` : text);
  }

  startTimer(isImmediate, repeats, milliseconds, action) {
    this.lastTimer += 1;
    if (this.ended) return this.lastTimer;
    const id = this.lastTimer;
    const fire = () => {
      if (!repeats) this.timers.delete(id);
      action();
    };
    const handle = isImmediate ? setImmediate(fire) : (repeats ? setInterval : setTimeout)(fire, milliseconds);
    this.timers.set(id, { handle, isImmediate });
    return id;
  }

  stop(id) {
    const timer = this.timers.get(id);
    if (timer === undefined) return;
    this.timers.delete(id);
    if (timer.isImmediate) clearImmediate(timer.handle);
    else clearTimeout(timer.handle);
  }
}

function shown(value) {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  if (isObject) begin(util.inspect); // a custom inspection of the author's is given `util.inspect`
  return withoutOurFrames(util.inspect(value));
}

function tableOf(value, columns) {
  begin(util.inspect);
  let text = '';
  new console.Console({ stdout: { write: (part) => (text += part) }, ignoreErrors: false }).table(value, columns);
  return text.replace(/\n$/, '');
}

const MOST_RANDOM = 65536;

function fillWithRandom(array) {
  const { types } = util;
  if (!types.isTypedArray(array) || types.isFloat32Array(array) || types.isFloat64Array(array)) {
    throw exception('The data argument must be an integer-type TypedArray', 'TypeMismatchError');
  }
  if (array.byteLength > MOST_RANDOM) {
    throw exception(`The requested length exceeds ${MOST_RANDOM} bytes`, 'QuotaExceededError');
  }
  require('node:crypto').randomFillSync(array);
}

// Node.js 16 has the class, but not by name.
function exception(message, name) {
  let { DOMException } = globalThis;
  try {
    if (DOMException === undefined) atob('*');
  } catch (error) {
    DOMException = error.constructor;
  }
  return new DOMException(message, name);
}

module.exports = { Run };
