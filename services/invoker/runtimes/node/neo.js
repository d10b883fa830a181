'use strict';
// The Neo convention: `module.exports = async context => ...`, in a fresh realm for each run.
//
// The realm gives the author clean globals, clean prototypes and a module that starts anew; it is no wall
// against hostile code. The wall is the process: whoever climbs out of the realm is in the same sandbox, alone.

const { webcrypto } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const util = require('node:util');
const vm = require('node:vm');
const { dropped, record } = require('./log.js');
const services = require('./services.js');

const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];
const FILE = '/function/index.js';
const MOST_LINES = 1000;
const LONGEST_LINE = 4096;
const REQUIRABLE = ['util', 'buffer', 'url', 'querystring', 'crypto', 'assert', 'events'];
const SHARED_CLASSES = {
  URL, URLSearchParams, TextEncoder, TextDecoder, AbortController, AbortSignal, Event, EventTarget,
};

// Runs inside the realm, once for each: what is made here has the realm's own prototypes.
const INSIDE = `(function (host, globals, outside) {
  'use strict';
  for (const name of Object.keys(globals)) {
    Object.defineProperty(globalThis, name, { value: globals[name], writable: true, configurable: true, enumerable: false });
  }
  const define = (name, value) =>
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  const logger = (names) => {
    const made = {};
    for (const [name, level] of names) made[name] = (...parts) => { host.log(level, parts); };
    return made;
  };
  define('console', logger([['log', 'info'], ['info', 'info'], ['warn', 'warn'], ['error', 'error'], ['debug', 'debug'], ['trace', 'debug']]));
  for (const name of ['setTimeout', 'setInterval', 'setImmediate']) define(name, (...a) => host.timer(name, a));
  for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) define(name, (t) => { host.clear(name, t); });
  define('queueMicrotask', (callback) => {
    if (typeof callback !== 'function') throw new TypeError('queueMicrotask needs a function');
    Promise.resolve().then(callback).catch((error) => { host.uncaught(error); });
  });
  define('structuredClone', (value) => host.clone(value));
  define('crypto', { randomUUID: () => host.randomUUID(), getRandomValues: (array) => host.getRandomValues(array) });
  define('fetch', (input, init) => outside().fetch(input, init));
  define('global', globalThis);
  const stringify = JSON.stringify;
  const parse = JSON.parse;
  return {
    context(texts) {
      const context = { params: parse(texts.params), execution: parse(texts.execution), environment: parse(texts.environment) };
      context.secrets = parse(texts.secrets);
      if (!Object.hasOwn(context.secrets, 'get')) {
        Object.defineProperty(context.secrets, 'get', { value: async (name) => (Object.hasOwn(context.secrets, name) ? context.secrets[name] : undefined) });
      }
      // Made when first asked for: most runs never do.
      Object.defineProperty(context, 'services', {
        get: () => outside().services,
        set: (value) => Object.defineProperty(context, 'services', { value, writable: true }),
        enumerable: true,
        configurable: true,
      });
      context.log = logger([['info', 'info'], ['warn', 'warn'], ['error', 'error'], ['debug', 'debug']]);
      return context;
    },
    module() { return { exports: {} }; },
    require: (name) => host.require(name),
    call: async (handler, context) => handler(context),
    text(value) {
      if (value === undefined) return undefined;
      if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError('a ' + typeof value + ' cannot be a result: it is not JSON');
      const made = stringify(value);
      return made === undefined ? 'null' : made;
    },
  };
})`;

function pickHandler(exported) {
  if (typeof exported === 'function') return exported;
  if (exported !== null && typeof exported === 'object') {
    if (typeof exported.default === 'function') return exported.default;
    if (typeof exported.handler === 'function') return exported.handler;
  }
  throw Object.assign(new Error('module.exports is not a function'), { name: 'Runtime.HandlerNotFound' });
}

async function load(settings, host) {
  const code = fs.readFileSync(path.join(settings.root, 'index.js'), 'utf8');
  try {
    vm.compileFunction(code, PARAMETERS, { filename: FILE });
  } catch (error) {
    throw Object.assign(new Error(String(error)), { name: 'Runtime.UserCodeSyntaxError', stack: error.stack });
  }
  for (const shared of Object.values(SHARED_CLASSES)) {
    Object.freeze(shared);
    Object.freeze(shared.prototype);
  }
  return new Neo(code, settings, host);
}

class Neo {
  constructor(code, settings, host) {
    this.code = code;
    this.settings = settings;
    this.resultLimit = settings.result_limit;
    this.host = host;
    this.inside = new vm.Script(INSIDE, { filename: '/runtime/realm.js' });
    this.services = new vm.Script(services.INSIDE, { filename: '/runtime/services.js' });
    this.current = null;
  }

  run(request) {
    const run = { timers: new Set(), lines: 0, calls: new services.Calls(this.host, this.settings.host_calls) };
    this.current = run;
    const realm = vm.createContext(vm.constants?.DONT_CONTEXTIFY ?? {});
    let made;
    const outside = () => (made ??= this.services.runInContext(realm)(run.calls.bridge()));
    const guest = this.inside.runInContext(realm)(this.hostFunctions(run), { ...SHARED_CLASSES, Buffer, atob, btoa }, outside);
    let promise;
    try {
      const module = guest.module();
      const compiled = vm.compileFunction(this.code, PARAMETERS, { filename: FILE, parsingContext: realm });
      compiled.call(module.exports, module.exports, guest.require, module, FILE, '/function');
      promise = guest.call(pickHandler(module.exports), guest.context(this.texts(request)));
    } catch (error) {
      this.end(run, () => this.host.fail(error));
      return;
    }
    promise.then(
      (value) => this.end(run, () => this.settle(guest, value)),
      (error) => this.end(run, () => this.host.fail(error)),
    );
  }

  texts(request) {
    const { context } = request;
    return {
      params: request.event.toString(),
      execution: JSON.stringify({
        id: context.execution_id || request.id,
        startedAt: context.started_at || new Date().toISOString(),
        functionId: this.settings.function_id,
      }),
      environment: JSON.stringify(this.settings.author_environment),
      secrets: JSON.stringify(request.secrets),
    };
  }

  settle(guest, value) {
    let text;
    try {
      text = guest.text(value);
    } catch (error) {
      this.host.fail(error);
      return;
    }
    this.host.finish(text);
  }

  end(run, conclude) {
    if (this.current !== run) return;
    this.current = null;
    for (const [clear, timer] of run.timers) globalThis[clear](timer);
    run.calls.close();
    conclude();
  }

  // The host has performed a call of the current run, or refused it.
  answer(number, failed, body) {
    if (this.current !== null) this.current.calls.answer(number, failed, body);
  }

  // The event loop is empty and the promise has not settled: plain Node.js exits with 0 here.
  idle() {
    process.exit(0);
  }

  uncaught(error) {
    const run = this.current;
    if (run !== null) this.end(run, () => this.host.fail(error, 1));
    return true;
  }

  hostFunctions(run) {
    const clearOf = { setTimeout: 'clearTimeout', setInterval: 'clearInterval', setImmediate: 'clearImmediate' };
    const made = new Map();
    let last = 0;
    return {
      log: (level, parts) => {
        run.lines += 1;
        if (run.lines > MOST_LINES) {
          dropped();
          return;
        }
        const text = parts.map((part) => (typeof part === 'string' ? part : util.inspect(part))).join(' ');
        record(level, text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}…(truncated)` : text);
      },
      timer: (name, args) => {
        const timer = globalThis[name](...args);
        const id = (last += 1);
        const entry = [clearOf[name], timer];
        made.set(id, entry);
        run.timers.add(entry);
        return id;
      },
      clear: (name, id) => {
        const entry = made.get(id);
        if (entry === undefined) return;
        made.delete(id);
        run.timers.delete(entry);
        globalThis[entry[0]](entry[1]);
      },
      uncaught: (error) => this.uncaught(error),
      clone: (value) => structuredClone(value),
      randomUUID: () => webcrypto.randomUUID(),
      getRandomValues: (array) => webcrypto.getRandomValues(array),
      require: (name) => {
        const plain = String(name).replace(/^node:/, '');
        if (!REQUIRABLE.includes(plain)) {
          throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' });
        }
        const module = require(`node:${plain}`);
        return typeof module === 'function' ? module : { ...module };
      },
    };
  }
}

module.exports = { load };
