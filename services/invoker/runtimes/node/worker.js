'use strict';
// What runs first in every Node.js sandbox: speaks frames with the supervisor on descriptor 3.
//
//   hello ──▶            the runtime is up, no function yet
//         ◀── load       a function's settings; its files are at `root` now
//  loaded ──▶            (or `raised`: it cannot be loaded)
//         ◀── run        one event
//    call ──▶            (while a Neo function runs: something its host is asked for)
//         ◀── answer
//    done ──▶            (or `raised`, or `large`)
//   ready ──▶            (after a Neo run, when nothing of it goes on and the next may come)
//
// A frame is one JSON header line and `n` raw bytes. Standard output and error are the log; nothing of this
// protocol ever goes there. While a function runs the socket does not keep the process alive, so that an empty
// event loop shows a promise that will never settle; while it waits for an answer the socket does.

const fs = require('node:fs');
const net = require('node:net');
const lambda = require('./lambda.js');
const neo = require('./neo.js');
const { isNativeError: isError } = require('node:util').types;

const socket = new net.Socket({ fd: 3, readable: true, writable: true });
const exit = process.exit.bind(process);
const now = Date.now;
const clock = process.hrtime.bigint;
const stringify = JSON.stringify;
const parse = JSON.parse;
const { writeSync } = fs;
const NEWLINE = 10;

let convention = null;
let current = null;
let resting = false;
let buffered = [];
let bufferedBytes = 0;
let header = null;

function send(fields, body) {
  fields.n = body ? body.length : 0;
  const line = Buffer.from(stringify(fields) + '\n');
  write(body ? Buffer.concat([line, body]) : line);
}

// Nearly always the socket takes a frame at once, without the machinery of streams; it must not overtake what waits there.
function write(bytes) {
  let written = 0;
  try {
    if (socket.writableLength === 0) written = writeSync(3, bytes);
  } catch (error) {
    if (error.code !== 'EAGAIN') return exit(0); // nobody listens any more
  }
  if (written < bytes.length) socket.write(bytes.subarray(written));
}

function milliseconds(since) {
  return Number(clock() - since) / 1e6;
}

// One text for whatever can be thrown: `name` is the error's own, or its typeof when it is not an Error.
function describe(error) {
  if (error !== null && typeof error === 'object' && ('message' in error || 'name' in error)) {
    return {
      name: String(error.name || 'Error'),
      message: String(error.message === undefined ? '' : error.message),
      stack: typeof error.stack === 'string' ? error.stack : '',
    };
  }
  let message;
  try {
    message = typeof error === 'object' ? stringify(error) : String(error);
  } catch {
    message = Object.prototype.toString.call(error);
  }
  return { name: typeof error, message: String(message), stack: '' };
}

function failure(error) {
  const limit = 128 * 1024;
  try {
    const { name, message, stack } = describe(error);
    return Buffer.from(
      stringify({ name: name.slice(0, 1024), message: message.slice(0, limit), stack: stack.slice(0, limit) }),
    );
  } catch {
    return Buffer.from('{"name":"Error","message":"the error cannot be shown","stack":""}');
  }
}

// Ends the current run. `result` is JSON text, or undefined when the handler returned nothing.
function finish(result) {
  const run = current;
  if (run === null) return;
  const ended = endOf(run);
  const body = Buffer.from(result === undefined ? 'null' : result);
  if (result === undefined) ended.u = 1;
  if (body.length > convention.resultLimit) send({ t: 'large', ...ended, size: body.length });
  else send({ t: 'done', ...ended }, body);
}

// What is said of the end of a run; `r` announces that the worker rests before it is ready for the next.
function endOf(run) {
  current = null;
  const ended = { id: run.id, ms: milliseconds(run.began) };
  if (convention.rests) {
    ended.r = 1;
    resting = true;
  } else {
    socket.ref();
  }
  return ended;
}

// Ends the current run with an error; `code` is given when the process cannot go on after it.
function fail(error, code) {
  const run = current;
  if (run === null) {
    if (code !== undefined) exit(code);
    return;
  }
  if (code === undefined) {
    const body = failure(error);
    send({ t: 'raised', ...endOf(run) }, body);
    return;
  }
  current = null;
  const fields = { t: 'raised', id: run.id, ms: milliseconds(run.began), end: 1 };
  const body = failure(error);
  fields.n = body.length;
  // The process ends now, so this one is written without the event loop.
  writeAll(Buffer.concat([Buffer.from(stringify(fields) + '\n'), body]));
  exit(code);
}

// Asks the host for something on behalf of the current run.
function ask(number, body) {
  if (current !== null) send({ t: 'call', id: current.id, c: number }, body);
}

function hold(yes) {
  if (current === null) return;
  if (yes) socket.ref();
  else socket.unref();
}

function writeAll(bytes) {
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(3, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
    }
  }
}

function load(body) {
  const began = clock();
  const settings = parse(body);
  const failed = (error) => {
    const bytes = failure(error);
    const line = Buffer.from(stringify({ t: 'raised', id: '', ms: milliseconds(began), end: 1, n: bytes.length }) + '\n');
    writeAll(Buffer.concat([line, bytes]));
    exit(1);
  };
  loading = failed;
  Promise.resolve()
    .then(() => (settings.convention === 'neo' ? neo : lambda).load(settings, { finish, fail, ask, hold }))
    .then((loaded) => {
      loading = null;
      convention = loaded;
      send({ t: 'loaded', ms: milliseconds(began) });
    })
    .catch(failed);
}

let loading = null;

function run(head, body) {
  current = { id: head.id, began: clock() };
  socket.unref();
  try {
    convention.run({ id: head.id, deadline: now() + head.ms, context: head.c || {}, secrets: head.s || {}, event: body });
  } catch (error) {
    fail(error);
  }
}

function take(data) {
  if (header === null && bufferedBytes === 0) {
    const end = data.indexOf(NEWLINE);
    if (end > 0) {
      const head = parse(data.latin1Slice(0, end));
      if (data.length - end - 1 === head.n) {
        dispatch(head, data.subarray(end + 1));
        return;
      }
    }
  }
  buffered.push(data);
  bufferedBytes += data.length;
  drain();
}

function drain() {
  for (;;) {
    if (header === null) {
      const all = buffered.length === 1 ? buffered[0] : Buffer.concat(buffered);
      const end = all.indexOf(NEWLINE);
      buffered = [all];
      if (end < 0) return;
      header = parse(all.latin1Slice(0, end));
      buffered = [all.subarray(end + 1)];
      bufferedBytes = all.length - end - 1;
    }
    if (bufferedBytes < header.n) return;
    const all = buffered.length === 1 ? buffered[0] : Buffer.concat(buffered);
    const head = header;
    header = null;
    buffered = [all.subarray(head.n)];
    bufferedBytes = all.length - head.n;
    dispatch(head, all.subarray(0, head.n));
    if (bufferedBytes === 0) {
      buffered = [];
      return;
    }
  }
}

function dispatch(head, body) {
  if (head.t === 'run') run(head, body);
  else if (head.t === 'load') load(body.toString());
  else if (head.t === 'answer' && current !== null && head.id === current.id) convention.answer(head.c, head.e === 1, body);
}

// The event loop is empty: nothing is left to be done.
process.on('beforeExit', () => {
  if (current !== null) convention.idle();
  else if (resting) {
    resting = false;
    socket.ref();
    send({ t: 'ready' }); // an event that comes while the next run is prepared waits that long
    convention.prepare();
  }
  else if (loading !== null) loading(Object.assign(new Error('the module never finished loading'), { name: 'Runtime.ImportModuleError' }));
});
process.on('uncaughtException', (error) => {
  if (loading !== null) loading(error);
  else if (convention === null || !convention.uncaught(error)) fail(error, 129);
});
process.on('unhandledRejection', (reason, promise) => {
  if (loading === null && convention !== null && convention.rejected?.(reason, promise)) return;
  const text = isError(reason) ? `${reason.name}: ${reason.message}` : describe(reason).message;
  const error = Object.assign(new Error(text), { name: 'Runtime.UnhandledPromiseRejection' });
  if (reason !== null && typeof reason === 'object' && typeof reason.stack === 'string') error.stack = reason.stack;
  if (loading !== null) loading(error);
  else if (convention === null || !convention.uncaught(error)) fail(error, 128);
});

socket.on('data', take);
socket.on('end', () => exit(0));
socket.on('error', () => exit(0));
send({ t: 'hello', pid: process.pid });
