'use strict';
// The author's side of a Neo run: what is in its realm besides the language.
//
// `inside` is not called here. Its text runs once in each realm, so that all it makes has the realm's own prototypes.
// `host` is the process's side (run.js): plain functions that an author never gets to see. What they throw is made an
// error of the realm, and what they return is text, numbers, or things of the process that `harden` has frozen.
// `globals` is where Node.js looks first for the realm's globals, if it does: to define them there is much quicker.

function inside(host, globals = globalThis) {
  const { apply, construct, ownKeys, getOwnPropertyDescriptor, defineProperty } = Reflect;
  const { create, freeze, hasOwn, keys } = Object;
  const { parse, stringify } = JSON;
  const { then } = Promise.prototype;
  const ordinaryHasInstance = Function.prototype[Symbol.hasInstance];
  const own = { Error, EvalError, RangeError, SyntaxError, TypeError, URIError };
  const done = Promise.resolve();

  const put = (object, name, value) => defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
  const define = (name, value) => put(globals, name, value);

  // A property that is made when it is first read, and can be assigned like any other.
  function lazy(object, name, make, enumerable = false) {
    const settle = (value) => defineProperty(object, name, { value, writable: true, configurable: true, enumerable });
    defineProperty(object, name, {
      get() {
        const value = make();
        settle(value);
        return value;
      },
      set: settle,
      configurable: true,
      enumerable,
    });
  }

  // A function of the host that throws errors of this realm only, a stack overflow in the host included.
  function guarded(action) {
    return (...given) => {
      try {
        return apply(action, undefined, given);
      } catch (error) {
        const isOurs = (typeof error !== 'object' && typeof error !== 'function') || apply(ordinaryHasInstance, Object, [error]);
        throw isOurs ? error : translated(error);
      }
    };
  }

  function translated({ name, message, code }) {
    const error = new (own[name] ?? Error)(message);
    if (error.name !== name) put(error, 'name', name);
    if (code !== undefined) error.code = code;
    return error;
  }

  const ask = create(null);
  for (const name of keys(host)) ask[name] = guarded(host[name]);

  function invalid(name, message) {
    const error = new TypeError(message);
    error.code = name;
    return error;
  }

  function requireFunction(callback) {
    if (typeof callback !== 'function') throw invalid('ERR_INVALID_ARG_TYPE', 'The "callback" argument must be of type function.');
  }

  // What is the process's: its classes, each with a subclass of this realm, so that what is done to the class or to
  // its prototype ends with the realm.

  let opened;
  const shared = () => (opened ??= open());

  function open() {
    const found = ask.open();
    for (const name of keys(found.language)) {
      if (typeof globalThis[name] === 'function') recognise(globalThis[name], found.language[name]);
    }
    return found;
  }

  // `bytes instanceof Uint8Array` is true for those of the process too. A subclass that inherits this is not concerned.
  function recognise(mine, foreign) {
    defineProperty(mine, Symbol.hasInstance, {
      value: function (value) {
        return apply(ordinaryHasInstance, this, [value]) || (this === mine && apply(ordinaryHasInstance, foreign, [value]));
      },
      writable: true,
      configurable: true,
    });
  }

  const classes = create(null);
  function classOf(name) {
    if (classes[name] !== undefined) return classes[name];
    const theirs = shared().lend(name);
    const made = name === 'Buffer' ? theirs : { [name]: class extends theirs {} }[name];
    if (made !== theirs) recognise(made, theirs);
    if (name === 'AbortSignal' && made.timeout !== undefined) put(made, 'timeout', abortAfter);
    classes[name] = made;
    return made;
  }

  function abortAfter(milliseconds) {
    const controller = new (classOf('AbortController'))();
    const abort = () => controller.abort(ask.exception('The operation was aborted due to timeout', 'TimeoutError'));
    startTimer(Timeout, abort, milliseconds).unref();
    return controller.signal;
  }

  for (const name of host.names()) lazy(globals, name, () => classOf(name));

  // Timers.

  const timers = new Map();

  class Immediate {
    #id;
    constructor(id) {
      this.#id = id;
    }
    ref() {
      ask.ref(this.#id, true);
      return this;
    }
    unref() {
      ask.ref(this.#id, false);
      return this;
    }
    hasRef() {
      return ask.hasRef(this.#id);
    }
    [Symbol.toPrimitive]() {
      return this.#id;
    }
  }

  class Timeout extends Immediate {
    refresh() {
      ask.refresh(+this);
      return this;
    }
    close() {
      stopTimer(this);
      return this;
    }
  }

  function startTimer(Kind, callback, milliseconds, rest = [], repeats = false) {
    requireFunction(callback);
    const id = ask.start(Kind === Immediate, repeats, +milliseconds, () => {
      if (!repeats) timers.delete(id);
      apply(callback, timer, rest);
    });
    const timer = new Kind(id);
    timers.set(id, timer);
    return timer;
  }

  function stopTimer(given) {
    const id = typeof given === 'object' && given !== null ? +given : Number(given);
    if (timers.delete(id)) ask.stop(id);
  }

  const setTimeout = (callback, milliseconds, ...rest) => startTimer(Timeout, callback, milliseconds, rest);
  const setInterval = (callback, milliseconds, ...rest) => startTimer(Timeout, callback, milliseconds, rest, true);
  const setImmediate = (callback, ...rest) => startTimer(Immediate, callback, 0, rest);
  const promised = Symbol.for('nodejs.util.promisify.custom');
  put(setTimeout, promised, (milliseconds, value) => new Promise((resolve) => setTimeout(resolve, milliseconds, value)));
  put(setImmediate, promised, (value) => new Promise((resolve) => setImmediate(resolve, value)));
  const all = { setTimeout, setInterval, setImmediate };
  for (const name of keys(all)) define(name, all[name]);
  for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) define(name, { [name]: (timer) => stopTimer(timer) }[name]);

  define('queueMicrotask', function queueMicrotask(callback) {
    requireFunction(callback);
    const run = () => {
      try {
        callback();
      } catch (error) {
        ask.uncaught(error);
      }
    };
    apply(then, done, [run]);
  });

  // Logs.

  const writer = (level) => (...parts) => ask.log(level, parts);
  const LEVELS = ['info', 'warn', 'error', 'debug'];
  const log = () => {
    const made = {};
    for (const level of LEVELS) made[level] = writer(level);
    return made;
  };

  function makeConsole() {
    const made = log();
    const counts = new Map();
    const began = new Map();
    let indent = '';
    const say = (level) => (...parts) => ask.log(level, indent === '' ? parts : [indent, ...parts]);
    for (const level of LEVELS) made[level] = say(level);
    made.log = made.dirxml = made.info;
    made.trace = made.debug;
    made.dir = (value) => made.info(value);
    made.table = (value, columns) => made.info(ask.table(value, columns));
    made.assert = (condition, ...parts) => {
      if (!condition) made.error('Assertion failed', ...parts);
    };
    made.count = (label = 'default') => {
      counts.set(`${label}`, (counts.get(`${label}`) ?? 0) + 1);
      made.info(`${label}: ${counts.get(`${label}`)}`);
    };
    made.countReset = (label = 'default') => {
      counts.delete(`${label}`);
    };
    made.group = made.groupCollapsed = (...parts) => {
      if (parts.length > 0) made.info(...parts);
      indent += ' ';
    };
    made.groupEnd = () => {
      indent = indent.slice(1);
    };
    made.time = (label = 'default') => {
      began.set(`${label}`, ask.now());
    };
    made.timeLog = (label = 'default', ...parts) => {
      if (began.has(`${label}`)) made.info(`${label}: ${(ask.now() - began.get(`${label}`)).toFixed(3)}ms`, ...parts);
    };
    made.timeEnd = (label = 'default') => {
      made.timeLog(label);
      began.delete(`${label}`);
    };
    return made;
  }

  lazy(globals, 'console', makeConsole);

  // The rest of the globals.

  define('global', globalThis);
  define('atob', function atob(text) { return ask.atob(`${text}`); });
  define('btoa', function btoa(text) { return ask.btoa(`${text}`); });
  lazy(globals, 'crypto', () => freeze({
    randomUUID: () => ask.randomUUID(),
    getRandomValues(array) {
      ask.fill(array);
      return array;
    },
  }));
  if (host.clones()) lazy(globals, 'structuredClone', () => host.cloner()(() => classOf('DOMException')));
  let asked;
  const outside = () => (asked ??= host.services()(guarded));
  define('fetch', (input, init) => outside().fetch(input, init));

  // Modules: a copy for each realm, so that an assignment to one of their properties ends with it.

  const refused = (name) => () => {
    throw new Error(`${name} is not possible here: it concerns other runs`);
  };
  const OURS = {
    util: (util) => ({
      TextEncoder: classOf('TextEncoder'),
      TextDecoder: classOf('TextDecoder'),
      inspect: copyOf(util.inspect, { colors: { ...util.inspect.colors }, styles: { ...util.inspect.styles } }),
      getSystemErrorMap: () => new Map(util.getSystemErrorMap()),
    }),
    buffer: () => ({
      Buffer: classOf('Buffer'),
      SlowBuffer: function SlowBuffer(size) { return classOf('Buffer').alloc(size); },
      Blob: undefined,
      File: undefined,
    }),
    url: () => ({ URL: classOf('URL'), URLSearchParams: classOf('URLSearchParams') }),
    crypto: () => ({ setEngine: refused('setEngine'), setFips: refused('setFips') }),
    events: (events, made) => ({
      EventEmitter: made,
      setMaxListeners(count, ...targets) {
        if (targets.length === 0) made.defaultMaxListeners = count;
        else events.setMaxListeners(count, ...targets);
      },
    }),
    querystring: () => ({}),
    assert: null, // looks at its caller's source: a function between the two would be what it finds
  };

  // A property of the copy that was computed in the original is computed when it is read, and frozen then.
  function copyOf(original, replaced = {}) {
    const made = typeof original === 'function' ? callableCopy(original) : {};
    fillCopy(made, original, replaced);
    return made;
  }

  function callableCopy(original) {
    const { name } = original;
    const made = { [name]: function (...given) {
      return new.target === undefined ? apply(original, this, given) : construct(original, given, new.target);
    } }[name];
    if (original.prototype !== undefined) made.prototype = create(original.prototype, { constructor: { value: made, writable: true, configurable: true } });
    return made;
  }

  function fillCopy(made, original, replaced) {
    for (const key of ownKeys(original)) {
      const { get, value, enumerable } = getOwnPropertyDescriptor(original, key);
      if (hasOwn(replaced, key)) defineProperty(made, key, { value: replaced[key], writable: true, configurable: true, enumerable });
      else if (get !== undefined) lazy(made, key, () => shared().harden(apply(get, original, [])), enumerable);
      else if (!hasOwn(made, key)) defineProperty(made, key, { value, writable: true, configurable: true, enumerable });
    }
  }

  const modules = create(null);
  function require(name) {
    const plain = `${name}`.replace(/^node:/, '');
    if (!hasOwn(OURS, plain)) {
      const error = new Error(`Cannot find module '${name}': only ${keys(OURS).join(', ')} can be required here`);
      error.code = 'MODULE_NOT_FOUND';
      throw error;
    }
    return (modules[plain] ??= load(plain));
  }

  function load(name) {
    const original = shared().load(name);
    if (OURS[name] === null) return original;
    const made = typeof original === 'function' ? callableCopy(original) : {};
    if (typeof original === 'function') recognise(made, original);
    fillCopy(made, original, OURS[name](original, made));
    return made;
  }

  // The run.

  function contextOf(text) {
    const context = parse(text);
    const { secrets } = context;
    if (!hasOwn(secrets, 'get')) put(secrets, 'get', async (name) => (hasOwn(secrets, name) ? secrets[name] : undefined));
    // Made when first asked for: most runs never do.
    lazy(context, 'services', () => outside().services, true);
    context.log = log();
    return context;
  }

  function handlerIn(exported) {
    if (typeof exported === 'function') return exported;
    if (typeof exported?.default === 'function') return exported.default;
    if (typeof exported?.handler === 'function') return exported.handler;
    throw new TypeError(`module.exports is not a function but ${kindOf(exported)}`);
  }

  function kindOf(value) {
    if (value === null || value === undefined) return `${value}`;
    if (typeof value !== 'object') return `the ${typeof value} ${`${typeof value === 'symbol' ? value.description : value}`.slice(0, 100)}`;
    if (Array.isArray(value)) return 'an array';
    const names = keys(value);
    return names.length === 0 ? 'an object with nothing in it' : `an object with ${names.slice(0, 10).join(', ')}`;
  }

  function textOf(value) {
    if (value === undefined) return undefined;
    if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`A ${typeof value} cannot be a result: it is not JSON`);
    return stringify(value) ?? 'null';
  }

  return {
    owns: (value) => apply(ordinaryHasInstance, Object, [value]),
    start(compiled, data, settled, failed) {
      // Begun by the queue of promises, so that no frame of the host is below the author's in a stack.
      const main = async () => {
        const module = { exports: {} };
        apply(compiled, module.exports, [module.exports, require, module, '/function/index.js', '/function']);
        return textOf(await handlerIn(module.exports)(contextOf(data)));
      };
      apply(then, done, [() => apply(then, main(), [settled, failed])]);
    },
  };
}

module.exports = { INSIDE: `'use strict'; (${inside})` };
