// The same package through `import`, as browsers load it: one file, no require.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { NeoServiceError, NeoServiceLayer } from '@tidemill/neo';

test('the module works like the other', async () => {
  const layer = new NeoServiceLayer({ apiKey: process.env.TIDEMILL_TEST_KEY });
  assert.ok(Array.isArray(await layer.functions.list()));
  await assert.rejects(layer.functions.get('nowhere'), NeoServiceError);
});

test('the module is made from the other and needs nothing', () => {
  const path = createRequire(import.meta.url).resolve('@tidemill/neo');
  const source = readFileSync(path, 'utf8');
  const module = readFileSync(path.replace(/index\.js$/, 'index.mjs'), 'utf8');
  assert.equal(module, source.replace("'use strict';\n\n", '').replace('module.exports = {', 'export {'), 'run node build.mjs');
  assert.doesNotMatch(module, /\brequire\(|^import /m);
});
