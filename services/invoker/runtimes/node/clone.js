'use strict';
// `structuredClone`, whose copies are of the author's realm: the process's own would make them of the process's.
//
// The text of `inside` runs in a realm when it is first used there. `kindOf` tells what an object really is.

const { types } = require('node:util');

const KINDS = [
  ['Array', Array.isArray], ['Date', types.isDate], ['RegExp', types.isRegExp], ['Map', types.isMap], ['Set', types.isSet],
  ['Error', types.isNativeError], ['Shared', types.isSharedArrayBuffer], ['Buffer', types.isArrayBuffer],
  ['View', ArrayBuffer.isView], ['Box', types.isBoxedPrimitive],
];
const REFUSED = [types.isWeakMap, types.isWeakSet, types.isPromise, types.isGeneratorObject, types.isModuleNamespaceObject, types.isProxy];

function kindOf(value) {
  if (REFUSED.some((is) => is(value))) return 'None';
  const known = KINDS.find(([, is]) => is(value));
  return known === undefined ? 'Object' : known[0];
}

const host = { kindOf, transfer: (buffer) => structuredClone(buffer, { transfer: [buffer] }) };

function inside({ kindOf, transfer }, exceptionClass) {
  const { defineProperty, getOwnPropertyDescriptor, hasOwn, keys } = Object;
  const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
  const VIEWS = {
    DataView, Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
    Float32Array, Float64Array, BigInt64Array, BigUint64Array,
  };
  const viewName = getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;
  const { getTime } = Date.prototype;

  function refuse(value) {
    const shown = typeof value === 'object' ? `#<${value.constructor?.name ?? 'Object'}>` : String(value);
    throw new (exceptionClass())(`${shown} could not be cloned.`, 'DataCloneError');
  }

  function copyView(view, copy) {
    const name = viewName.call(view) ?? 'DataView';
    return new VIEWS[name](copy(view.buffer), view.byteOffset, name === 'DataView' ? view.byteLength : view.length);
  }

  function copyError(error, copy) {
    const made = new (ERRORS[error.name] ?? Error)();
    const hide = (name, value) => defineProperty(made, name, { value, writable: true, configurable: true });
    if (hasOwn(error, 'message')) hide('message', String(error.message));
    if (hasOwn(error, 'cause')) hide('cause', copy(error.cause));
    hide('stack', String(error.stack));
    return made;
  }

  // What an object becomes, without what is in it.
  function shellOf(value, kind, copy) {
    switch (kind) {
      case 'Array': return new Array(value.length);
      case 'Object': return {};
      case 'Map': return new Map();
      case 'Set': return new Set();
      case 'Date': return new Date(getTime.call(value));
      case 'RegExp': return new RegExp(value.source, value.flags);
      case 'Box': return typeof value.valueOf() === 'symbol' ? refuse(value) : Object(value.valueOf());
      case 'Error': return copyError(value, copy);
      case 'Shared': return value;
      case 'Buffer': return new Uint8Array(new Uint8Array(value)).buffer;
      case 'View': return copyView(value, copy);
      default: return refuse(value);
    }
  }

  return function structuredClone(value, options) {
    const copies = new Map();
    for (const buffer of options?.transfer ?? []) {
      if (kindOf(buffer) !== 'Buffer') refuse(buffer);
      copies.set(buffer, transfer(buffer));
    }
    function copy(original) {
      if (typeof original === 'function' || typeof original === 'symbol') refuse(original);
      if (typeof original !== 'object' || original === null) return original;
      if (copies.has(original)) return copies.get(original);
      const kind = kindOf(original);
      const made = shellOf(original, kind, copy);
      copies.set(original, made);
      if (kind === 'Map') for (const [key, each] of [...original]) made.set(copy(key), copy(each));
      else if (kind === 'Set') for (const each of [...original]) made.add(copy(each));
      else if (kind === 'Array' || kind === 'Object') for (const key of keys(original)) made[key] = copy(original[key]);
      return made;
    }
    return copy(value);
  };
}

module.exports = { host, INSIDE: `'use strict'; (${inside})` };
