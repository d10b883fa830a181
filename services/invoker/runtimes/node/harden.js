'use strict';
// What the runs of a Neo function share cannot be changed by any of them.
//
// Each run has a realm of its own, but `URL`, `Buffer` and the modules that may be required are those of the process.
// `begin` sees to what is state and no property; `harden` freezes all that can be reached from what an author is given,
// `hardenLanguage` what comes with any other object of ours. An assignment to an object that inherits from a frozen
// one still works: see `allowOverride`.

const { getOwnPropertyDescriptor, getPrototypeOf } = Object;
const { hasOwnProperty: hasOwn } = Object.prototype;
const { ownKeys } = Reflect;

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
// The language's own classes, by name. Their prototypes, and that of bytes, are used everywhere and have much in them:
// frozen, and not slowed down by accessors.
const language = Object.fromEntries(LANGUAGE.filter((name) => name in globalThis).map((name) => [name, globalThis[name]]));
const hot = new Set([...Object.values(language), Buffer].map((each) => each.prototype));
// Properties, with their values, that are neither configurable nor frozen.
const writable = [];

// Once in a process, before an author gets anything of it.
function begin() {
  withoutPools();
  withoutCompilers();
  allowOverrides(Object.prototype, PLAIN);
  for (const { prototype } of Object.values(language).filter(isErrorClass)) allowOverrides(prototype, ['name', 'message', 'toString']);
}

function hardenLanguage() {
  const iterators = [[].keys(), ''[Symbol.iterator](), new Map().keys(), new Set().keys(), 'a'.matchAll(/a/g)];
  harden(...Object.values(language), ...iterators.map(getPrototypeOf), ...FUNCTIONS.map(getPrototypeOf));
}

function isObject(value) {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function isErrorClass(value) {
  return value === Error || getPrototypeOf(value) === Error;
}

// Freezes what can be reached from some objects through properties and prototypes.
function harden(...roots) {
  const waiting = roots.filter(isObject);
  const follow = (value) => {
    if (isObject(value) && !hardened.has(value)) waiting.push(value);
  };
  while (waiting.length > 0) {
    const object = waiting.pop();
    if (hardened.has(object)) continue;
    hardened.add(object);
    follow(getPrototypeOf(object));
    const isPrototype = hasOwn.call(object, 'constructor');
    let keepsWritable = false;
    for (const key of ownKeys(object)) {
      const property = getOwnPropertyDescriptor(object, key);
      follow(property.value);
      follow(property.get);
      follow(property.set);
      if (!isPrototype) withoutSetter(object, key, property);
      else if (key !== 'constructor' && !hot.has(object)) keepsWritable = !allowOverride(object, key, property) || keepsWritable;
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
    if (!isObject(object) || seen.has(object) || hardened.has(object)) continue;
    seen.add(object);
    harden(getPrototypeOf(object));
    if (object instanceof Map) waiting.push(...object.values());
    for (const key of ownKeys(object)) waiting.push(getOwnPropertyDescriptor(object, key).value);
  }
}

// Undoes what a run did to the few properties that could not be frozen.
function restore() {
  for (const [object, key, value] of writable) object[key] = value;
}

// A setter of a class or module, like `EventEmitter.defaultMaxListeners`, sets what all runs share.
function withoutSetter(object, key, { get, set, configurable }) {
  if (set !== undefined && configurable) Object.defineProperty(object, key, { get, set: undefined });
}

// A frozen property of a prototype would refuse `instance.toString = ...` too. As an accessor it makes the instance's own.
// False if the property cannot be made one, and so must stay writable.
function allowOverride(prototype, key, { value, writable: isWritable, configurable }) {
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

function allowOverrides(prototype, keys) {
  for (const key of keys) if (hasOwn.call(prototype, key)) allowOverride(prototype, key, getOwnPropertyDescriptor(prototype, key));
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
    const prototype = getPrototypeOf(each);
    const { name } = prototype.constructor;
    const refuse = { [name]: function () { throw new EvalError('Code generation from strings disallowed for this context'); } }[name];
    Object.defineProperty(refuse, 'prototype', { value: prototype });
    Object.defineProperty(prototype, 'constructor', { value: refuse });
  }
}

module.exports = { begin, harden, hardenBehind, hardenLanguage, language, restore };
