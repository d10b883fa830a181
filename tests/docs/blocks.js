// Runs the blocks it is given, a JSON string a line, one after the other: what one declares is there for the next.
// Whatever is logged is printed as JSON, text as it is; after each block a line says how it ended, as page.py expects.
const readline = require('node:readline');
const repl = require('node:repl');
const { PassThrough } = require('node:stream');

const text = value => (typeof value === 'string' ? value : JSON.stringify(value));
console.log = value => process.stdout.write(`${text(value)}\n`);

const session = repl.start({ prompt: '', input: new PassThrough(), output: process.stderr, useGlobal: true });

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const error = await new Promise(done => { session.eval(JSON.parse(line), session.context, 'page', done); });
    process.stdout.write(error ? `${error.stack}\n=== the block ended with 1\n` : '=== the block ended with 0\n');
  }
  process.exit();
}

main();
