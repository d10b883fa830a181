'use strict';
// What the runs of a Neo function share cannot be changed by any of them.
//
// Each run has a realm of its own, but `URL`, `Buffer` and the modules that may be required are those of the process.
// `begin` sees to what is state and no property; `harden` freezes all that can be reached from what an author is given,
// `hardenLanguage` what comes with any other object of ours. An assignment to an object that inherits from a frozen
// one still works: see `allowOverride`.

const FUNCTIONS = [function () {}, function* () {}, async function () {}, async function* () {}];
// Named one by one: to look at other globals of Node.js loads what is behind them.
const LANGUAGE = [
  'Object', 'Function', 'Array', 'Number', 'Boolean', 'String', 'Symbol', 'BigInt', 'Date', 'RegExp', 'Promise', 'Proxy',
  'Map', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'FinalizationRegistry', 'Iterator', 'ArrayBuffer', 'SharedArrayBuffer', 'DataView',
  'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'Float16Array',
  'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array',
  'Error', 'AggregateError', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError',
];
const PLAIN = ['toString', 'toLocaleString', 'valueOf'];

const hardened = new Set();
// The language's own classes, by name. Their prototypes are used everywhere: frozen, and not slowed down by accessors.
const language = Object.fromEntries(LANGUAGE.filter((name) => name in globalThis).map((name) => [name, globalThis[name]]));
const itsPrototypes = new Set(Object.values(language).map((each) => each.prototype));
// Properties, with their values, that are neither configurable nor frozen.
const writable = [];

// Once in a process, before an author gets anything of it.
function begin() {
  withoutPools();
  withoutCompilers();
  for (const name of PLAIN) allowOverride(Object.prototype, name);
  for (const { prototype } of Object.values(language).filter(isErrorClass)) {
    for (const name of ['name', 'message', 'toString']) allowOverride(prototype, name);
  }
}

function hardenLanguage() {
  const iterators = [[].keys(), ''[Symbol.iterator](), new Map().keys(), new Set().keys(), 'a'.matchAll(/a/g)];
  harden(...Object.values(language), ...iterators.map(Object.getPrototypeOf), ...FUNCTIONS.map(Object.getPrototypeOf));
}

function isErrorClass(value) {
  return value === Error || Object.getPrototypeOf(value) === Error;
}

// Freezes what can be reached from some objects through properties and prototypes.
function harden(...roots) {
  const waiting = roots;
  while (waiting.length > 0) {
    const object = waiting.pop();
    if (!(object instanceof Object) || hardened.has(object)) continue;
    hardened.add(object);
    waiting.push(Object.getPrototypeOf(object));
    const isPrototype = Object.prototype.hasOwnProperty.call(object, 'constructor');
    let keepsWritable = false;
    for (const key of Reflect.ownKeys(object)) {
      const { value, get, set } = Object.getOwnPropertyDescriptor(object, key);
      waiting.push(value, get, set);
      if (!isPrototype) withoutSetter(object, key);
      else if (!itsPrototypes.has(object) && key !== 'constructor') keepsWritable = !allowOverride(object, key) || keepsWritable;
    }
    if (keepsWritable) Object.preventExtensions(object);
    else if (!ArrayBuffer.isView(object)) Object.freeze(object);
  }
}

// Freezes the prototypes of some objects and of what is in them, but not these objects, which are still at work.
function hardenBehind(...samples) {
  const seen = new Set();
  const waiting = samples;
  while (waiting.length > 0) {
    const object = waiting.pop();
    if (!(object instanceof Object) || seen.has(object) || hardened.has(object)) continue;
    seen.add(object);
    harden(Object.getPrototypeOf(object));
    if (object instanceof Map) waiting.push(...object.values());
    for (const key of Reflect.ownKeys(object)) waiting.push(Object.getOwnPropertyDescriptor(object, key).value);
  }
}

// Undoes what a run did to the few properties that could not be frozen.
function restore() {
  for (const [object, key, value] of writable) object[key] = value;
}

// A setter of a class or module, like `EventEmitter.defaultMaxListeners`, sets what all runs share.
function withoutSetter(object, key) {
  const { get, set, configurable } = Object.getOwnPropertyDescriptor(object, key);
  if (set !== undefined && configurable) Object.defineProperty(object, key, { get, set: undefined });
}

// A frozen property of a prototype would refuse `instance.toString = ...` too. As an accessor it makes the instance's own.
// False if the property cannot be made one, and so must stay writable.
function allowOverride(prototype, key) {
  const { value, writable: isWritable, configurable } = Object.getOwnPropertyDescriptor(prototype, key) ?? {};
  if (!isWritable) return true;
  if (!configurable) {
    writable.push([prototype, key, value]);
    return false;
  }
  Object.defineProperty(prototype, key, {
    get: () => value,
    set(given) {
      if (hardened.has(this)) throw new TypeError(`Cannot assign to read only property '${String(key)}' of object`);
      Object.defineProperty(this, key, { value: given, writable: true, configurable: true, enumerable: true });
    },
  });
  return true;
}

// Memory of one run must not be seen by another: small buffers are parts of a shared one, new ones are not cleared.
function withoutPools() {
  Buffer.poolSize = 0;
  Buffer.allocUnsafe = Buffer.allocUnsafeSlow = (size) => Buffer.alloc(size);
  delete URL.createObjectURL;
  delete URL.revokeObjectURL;
}

// `URL.constructor('return process')` would compile code in the realm of the process.
function withoutCompilers() {
  for (const each of FUNCTIONS) {
    const prototype = Object.getPrototypeOf(each);
    const { name } = prototype.constructor;
    const refuse = { [name]: function () { throw new EvalError('Code generation from strings disallowed for this context'); } }[name];
    Object.defineProperty(refuse, 'prototype', { value: prototype });
    Object.defineProperty(prototype, 'constructor', { value: refuse });
  }
}

module.exports = { begin, harden, hardenBehind, hardenLanguage, language, restore };
