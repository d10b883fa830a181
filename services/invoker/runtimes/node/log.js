'use strict';
// The log of a function: standard output, written at once so that nothing is lost when the process is killed.

const fs = require('node:fs');
const util = require('node:util');

function write(text) {
  const bytes = Buffer.from(text);
  let at = 0;
  while (at < bytes.length) {
    try {
      at += fs.writeSync(1, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
    }
  }
}

const LEVELS = { log: 'INFO', info: 'INFO', warn: 'WARN', error: 'ERROR', debug: 'DEBUG', trace: 'TRACE', fatal: 'FATAL' };

// Makes console write records as Lambda does: time, request id, level, text. A record is one line.
function patchConsole(id) {
  for (const [method, level] of Object.entries(LEVELS)) {
    console[method] = (...parts) => {
      const text = util.format(...parts).replace(/\n/g, '\r');
      write(`${new Date().toISOString()}\t${id()}\t${level}\t${text}\n`);
    };
  }
}

// A framed record of a Neo function: NUL stands for a newline, so a record stays one line on the way.
function record(level, text) {
  write(`\0N${level}\t${text.replace(/\0/g, '\ufffd').replace(/\n/g, '\0')}\n`);
}

// Stands for a line that is not kept, so that it is counted however the run ends.
function dropped() {
  write('\0D\n');
}

module.exports = { dropped, patchConsole, record };
