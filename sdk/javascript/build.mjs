// Make index.mjs, for browsers and `import`, from index.js, for `require`. Run it after a change: node build.mjs
import { readFileSync, writeFileSync } from 'node:fs';

const source = readFileSync(new URL('index.js', import.meta.url), 'utf8');
const made = source.replace("'use strict';\n\n", '').replace(/^module\.exports = (.*)$/m, 'export $1');
writeFileSync(new URL('index.mjs', import.meta.url), made);
