'use strict';
// The AWS Lambda convention: `handler(event, context, callback)`, error names and context as on AWS.

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { patchConsole } = require('./log.js');

const PARTS = /^([^.]*)\.(.+)$/;
const stringify = JSON.stringify;
const parse = JSON.parse;

function runtimeError(name, message, cause) {
  const error = new Error(message);
  error.name = name;
  error.stack = cause && typeof cause.stack === 'string' ? cause.stack : `${name}: ${message}`;
  return error;
}

function splitHandler(text) {
  if (text.includes('..')) {
    throw runtimeError('Runtime.MalformedHandlerName', `'${text}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const base = path.basename(text);
  const match = PARTS.exec(base);
  if (match === null) throw runtimeError('Runtime.MalformedHandlerName', 'Bad handler');
  return { folder: text.slice(0, text.length - base.length), module: match[1], exported: match[2] };
}

// The file a module name means; null when it is none: it may be a directory or a package then.
function findFile(root, folder, name) {
  const plain = path.resolve(root, folder, name);
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    const candidate = plain + extension;
    if (fs.statSync(candidate, { throwIfNoEntry: false })?.isFile()) return candidate;
  }
  return null;
}

function isModule(file) {
  if (file.endsWith('.mjs')) return true;
  if (file.endsWith('.cjs')) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      return parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      if (error.code !== 'ENOENT' || folder === path.dirname(folder)) return false;
    }
  }
}

function resolveByName(name, folder) {
  try {
    return require.resolve(`./${name}`, { paths: [folder] });
  } catch {
    return require.resolve(name, { paths: [folder] });
  }
}

async function loadModule(root, { folder, module: name }) {
  const file = findFile(root, folder, name);
  try {
    if (file !== null && isModule(file)) return await import(pathToFileURL(file).href);
    return require(file ?? resolveByName(name, path.resolve(root, folder)));
  } catch (error) {
    if (error instanceof SyntaxError) throw runtimeError('Runtime.UserCodeSyntaxError', String(error), error);
    if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
      throw runtimeError('Runtime.ImportModuleError', String(error), error);
    }
    throw error;
  }
}

function pick(module, exported, whole) {
  const handler = exported.split('.').reduce((value, key) => (value === undefined || value === null ? value : value[key]), module);
  const found = handler ?? (module.default && exported.split('.').reduce((value, key) => value?.[key], module.default));
  if (found === undefined || found === null) {
    throw runtimeError('Runtime.HandlerNotFound', `${whole} is undefined or not exported`);
  }
  if (typeof found !== 'function') throw runtimeError('Runtime.HandlerNotFound', `${whole} is not a function`);
  return found;
}

async function load(settings, host) {
  Object.assign(process.env, settings.environment);
  process.chdir(settings.root);
  const state = { id: '', run: null };
  patchConsole(() => state.id);
  state.id = settings.first_id;
  const parts = splitHandler(settings.handler);
  const handler = pick(await loadModule(settings.root, parts), parts.exported, settings.handler);
  return new Lambda(handler, settings, host, state);
}

class Lambda {
  constructor(handler, settings, host, state) {
    this.handler = handler;
    this.settings = settings;
    this.resultLimit = settings.result_limit;
    this.host = host;
    this.state = state;
  }

  run(request) {
    const run = { promised: false, answered: false, answer: undefined, error: null, context: null };
    this.state.id = request.id;
    this.state.run = run;
    run.context = this.context(request, run);
    const event = parse(request.event.toString());
    const callback = (error, result) => this.answer(run, error, result);
    let returned;
    try {
      returned = this.handler(event, run.context, callback);
    } catch (error) {
      this.end(run, () => this.host.fail(error));
      return;
    }
    if (returned !== null && typeof returned === 'object' && typeof returned.then === 'function') {
      run.promised = true;
      returned.then(
        (result) => this.settle(run, result),
        (error) => this.end(run, () => this.host.fail(error)),
      );
    } else if (returned !== undefined && this.handler.length < 3 && !run.answered) {
      this.settle(run, returned);
    }
  }

  // The callback may come first and wait for the event loop to be empty, as on Lambda.
  answer(run, error, result) {
    if (run.answered) return;
    run.answered = true;
    run.error = error === undefined || error === null ? null : { error };
    run.answer = result;
    if (run.error !== null || !run.context.callbackWaitsForEmptyEventLoop) setImmediate(() => this.conclude(run));
  }

  conclude(run) {
    if (run.error !== null) this.end(run, () => this.host.fail(run.error.error));
    else this.settle(run, run.answer);
  }

  settle(run, result) {
    this.end(run, () => {
      let text;
      try {
        text = stringify(result === undefined ? null : result);
      } catch {
        this.host.fail(runtimeError('Runtime.MarshalError', 'Unable to stringify response body'));
        return;
      }
      if (result === undefined || text === undefined) this.host.finish(undefined);
      else this.host.finish(text);
    });
  }

  end(run, conclude) {
    if (this.state.run !== run) return;
    this.state.run = null;
    conclude();
  }

  // The event loop is empty and the run has not ended.
  idle() {
    const run = this.state.run;
    if (run === null) return;
    if (run.answered) this.conclude(run);
    else if (run.promised) {
      this.end(run, () =>
        this.host.fail(
          runtimeError('Runtime.NodeJsExit', 'The event loop is empty, but the promise that the handler returned has not settled.'),
        ),
      );
    } else this.settle(run, undefined);
  }

  uncaught() {
    return false;
  }

  context(request, run) {
    const { settings } = this;
    const done = (error, result) => {
      run.context.callbackWaitsForEmptyEventLoop = false;
      this.answer(run, error, result);
    };
    return {
      callbackWaitsForEmptyEventLoop: true,
      functionName: settings.name,
      functionVersion: '$LATEST',
      invokedFunctionArn: request.context.invoked_function_arn || settings.function_arn,
      memoryLimitInMB: String(settings.memory_mb),
      awsRequestId: request.id,
      logGroupName: settings.log_group,
      logStreamName: settings.log_stream,
      identity: undefined,
      clientContext: undefined,
      getRemainingTimeInMillis: () => Math.max(0, request.deadline - Date.now()),
      done,
      succeed: (result) => done(null, result),
      fail: (error) => done(error ?? 'handled'),
    };
  }
}

module.exports = { load };
