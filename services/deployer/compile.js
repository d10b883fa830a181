// Judges JavaScript sources without running them. A source comes in as four bytes of length and UTF-8 text on
// standard input; a line of JSON goes out: null, or what is wrong with it. Ends with its input.
'use strict'
const fs = require('fs')
const vm = require('vm')

const SHOWN = 160 // characters of a line of source
const MESSAGE = 1000

function readExactly (count) {
  const buffer = Buffer.allocUnsafe(count)
  for (let at = 0; at < count;) {
    const got = fs.readSync(0, buffer, at, count - at)
    if (got === 0) process.exit(0)
    at += got
  }
  return buffer
}

// The stack begins with "file:line", the line of source and a caret below the fault; the rest is ours.
function excerpt (stack) {
  const [where, line, caret] = String(stack).split('\n')
  const match = /^\/function\/index\.js:(\d+)$/.exec(where)
  if (!match) return { line: 0, text: '' }
  const column = Math.max(0, caret.search(/\S/))
  const from = line.length > SHOWN ? Math.max(0, column - SHOWN / 2) : 0
  const shown = [where, line.slice(from, from + SHOWN), caret.slice(from, from + SHOWN)]
  return { line: Number(match[1]), text: shown.map(each => each + '\n').join('') }
}

function judge (source) {
  try {
    vm.compileFunction(source, ['exports', 'require', 'module', '__filename', '__dirname'],
      { filename: '/function/index.js' })
    return null
  } catch (error) {
    const { line, text } = excerpt(error.stack)
    const message = error.message.slice(0, MESSAGE)
    return { name: error.name, message, line, stack: `${text}${error.name}: ${message}` }
  }
}

function say (value) {
  fs.writeSync(1, JSON.stringify(value) + '\n')
}

say('ready')
for (;;) {
  say(judge(readExactly(readExactly(4).readUInt32BE()).toString('utf8')))
}
