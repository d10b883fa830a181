'use strict';
// The Neo convention: `module.exports = async context => ...`, in a fresh realm for each run.
//
// The realm gives the author clean globals, clean prototypes and a module that starts anew; it is no wall
// against hostile code. The wall is the process: whoever climbs out of the realm is in the same sandbox, alone.
//
// The realm of a run is made before the run is asked for, while the worker rests from the one before: making it takes
// several times as long as a small function.

const fs = require('node:fs');
const path = require('node:path');
const v8 = require('node:v8');
const vm = require('node:vm');
const { Run } = require('./run.js');
const { Calls } = require('./services.js');
const { withoutOurFrames } = require('./stack.js');

const { stringify } = JSON;
const FILE = '/function/index.js';
const PARAMETERS = ['exports', 'require', 'module', '__filename', '__dirname'];
// Realms are garbage that the collector may leave for long; the memory limit of a function does not wait for it.
const MUCH_MEMORY = 64 * 1024 * 1024;
const MUCH_MORE = 32 * 1024 * 1024;

async function load(settings, host) {
  const code = fs.readFileSync(path.join(settings.root, 'index.js'), 'utf8').replace(/^#!.*/, '');
  try {
    vm.compileFunction(code, PARAMETERS, { filename: FILE });
  } catch (error) {
    const told = { name: 'Runtime.UserCodeSyntaxError', stack: withoutOurFrames(error.stack) };
    throw Object.assign(new Error(error.message), told);
  }
  process.removeAllListeners('warning'); // they would be lines of the author's log
  return new Neo(code, settings, host);
}

class Neo {
  constructor(code, settings, host) {
    this.settings = settings;
    this.resultLimit = settings.result_limit;
    this.host = host;
    // Compiled once for all realms. That it is the body of a function and no more has been seen to.
    const opening = `(function (${PARAMETERS.join(', ')}) {`;
    this.script = new vm.Script(`${opening}${code}\n})`, { filename: FILE, columnOffset: -opening.length });
    this.environment = stringify(settings.author_environment);
    this.current = null;
    this.rests = true;
    this.prepare();
  }

  // Makes the next run, after an answer.
  prepare() {
    collectIfDue();
    const calls = new Calls(this.host, this.settings.host_calls);
    this.next = new Run(this.script, calls, (error) => this.uncaught(error));
  }

  run(request) {
    const run = this.next;
    this.next = null;
    this.current = run;
    run.start(
      this.contextOf(request),
      (text) => this.end(run, () => this.host.finish(text)),
      (error) => this.end(run, () => this.host.fail(describe(error))),
    );
  }

  // The data of a run's context as JSON, for the realm to make its own objects of; the event is JSON already.
  contextOf({ id, context, event, secrets }) {
    const execution = {
      id: context.execution_id || id,
      startedAt: context.started_at || new Date().toISOString(),
      functionId: this.settings.function_id,
    };
    return `{"params":${event},"execution":${stringify(execution)},"environment":${this.environment},"secrets":${stringify(secrets)}}`;
  }

  end(run, conclude) {
    if (this.current !== run) return;
    this.current = null;
    run.end();
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

  // An error that nobody caught. One of a run that has been answered concerns no other.
  uncaught(error) {
    const run = this.current;
    if (run !== null && run.owns(error)) this.end(run, () => this.host.fail(describe(error), 1));
    return true;
  }

  rejected(reason, promise) {
    return this.current !== null && !this.current.owns(promise) ? true : this.uncaught(reason);
  }
}

let collectGarbage;
let heldBefore = 0;

function collectIfDue() {
  if (memoryHeld() < Math.max(MUCH_MEMORY, heldBefore + MUCH_MORE)) return;
  if (collectGarbage === undefined) {
    v8.setFlagsFromString('--expose-gc');
    collectGarbage = vm.runInNewContext('gc');
    v8.setFlagsFromString('--no-expose-gc');
  }
  collectGarbage();
  heldBefore = memoryHeld();
}

function memoryHeld() {
  const { total_heap_size: heap, external_memory: external } = v8.getHeapStatistics();
  return heap + external;
}

// What was thrown, in words. Reading it runs code of the author, which may throw again.
function describe(thrown) {
  const isObject = (typeof thrown === 'object' && thrown !== null) || typeof thrown === 'function';
  const message = isObject ? read(thrown, 'message') : undefined;
  if (message === undefined) return { name: 'Error', message: stringForm(thrown), stack: '' };
  return { name: read(thrown, 'name') || 'Error', message, stack: withoutOurFrames(read(thrown, 'stack') ?? '') };
}

function read(object, key) {
  try {
    const value = object[key];
    return value === undefined || value === null ? undefined : String(value);
  } catch {
    return key === 'message' ? 'the error cannot be shown' : undefined;
  }
}

function stringForm(value) {
  try {
    if (typeof value === 'object') return stringify(value) ?? Object.prototype.toString.call(value);
    return String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

module.exports = { load };
