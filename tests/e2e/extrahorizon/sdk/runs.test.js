// What can happen to a run: failures of the code, limits, other runtimes and frameworks, calls side by side
// (contract sections 3.2 and 5; checks 18 to 21 and 23 to 25).
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { before, test } = require('node:test');
const { administrator, functionOf, http, made, refused, zipped } = require('./support');

const MESSAGE = 'Invoking the Lambda function resulted in a runtime error.';
const MEGABYTE = 1000 * 1000;

let exh;
before(async () => {
  exh = await administrator();
});

async function runtimeError(context, source, fields) {
  const name = await functionOf(context, exh, source, fields);
  const error = await refused(exh.tasks.api.get(name, '/'), 'LambdaRuntimeError');
  assert.deepEqual([error.status, error.response.code, error.response.name], [400, 1406, 'LAMBDA_RUNTIME_EXCEPTION']);
  assert.equal(error.response.message, MESSAGE);
  assert.deepEqual(Object.keys(error.response).sort(), ['code', 'message', 'name', 'runtimeError']);
  assert.deepEqual(Object.keys(error.response.runtimeError).sort(), ['message', 'name']);
  return error.response.runtimeError;
}

test('what the code throws is told with its own name and message', async context => {
  const named = "class E extends Error { constructor(m) { super(m); this.name = 'CONNECTION_ERROR' } }; throw new E('no line')";
  for (const [body, name, message] of [
    ["throw new RangeError('qty too big')", 'RangeError', 'qty too big'],
    ['null.x', 'TypeError', "Cannot read properties of null (reading 'x')"],
    [named, 'CONNECTION_ERROR', 'no line'],
    ["return Promise.reject(new Error('rejected'))", 'Error', 'rejected'],
    ["throw 'only text'", 'string', 'only text'],
    ['throw undefined', 'undefined', 'undefined'],
  ]) {
    const error = await runtimeError(context, `exports.handler = async () => { ${body} }`);
    assert.deepEqual(error, { name, message }, body);
  }
});

test('code that cannot be started is told with the names of the runtime', async context => {
  const handler = 'exports.handler = async () => ({ statusCode: 200 })';
  for (const [source, fields, name, message] of [
    ['exports.handler = async () => {;', {}, 'Runtime.UserCodeSyntaxError', /^SyntaxError: /],
    ["require('not-there')", {}, 'Runtime.ImportModuleError', /^Error: Cannot find module 'not-there'/],
    [handler, { entryPoint: 'other.handler' }, 'Runtime.ImportModuleError', /^Error: Cannot find module 'other'/],
    ['exports.other = 1', {}, 'Runtime.HandlerNotFound', /^index\.handler /],
    ['exports.handler = 7', {}, 'Runtime.HandlerNotFound', /^index\.handler /],
    ["throw new Error('at the start')", {}, 'Error', /^at the start$/],
  ]) {
    const error = await runtimeError(context, source, fields);
    assert.equal(error.name, name, source);
    assert.match(error.message, message, source);
  }
});

test('a process that ends takes its own run with it and no other', async context => {
  const name = await functionOf(
    context, exh, "exports.handler = async (e) => { if (e.rawPath === '/exit') process.exit(3); return { statusCode: 200 } }",
  );
  const error = await refused(exh.tasks.api.get(name, '/exit'), 'LambdaRuntimeError');

  assert.equal(error.response.runtimeError.name, 'Runtime.ExitError');
  assert.equal(await exh.tasks.api.get(name, '/'), '');
});

test('a rejection nobody handles fails the run it happens in', async context => {
  const { name, message } = await runtimeError(
    context, "exports.handler = () => new Promise(() => { Promise.reject(new RangeError('unseen')) })",
  );

  assert.equal(name, 'Runtime.UnhandledPromiseRejection');
  assert.match(message, /unseen/);
});

test('a failing GET runs once although the SDK repeats a GET that got a 5xx', async context => {
  const name = await functionOf(context, exh, `let runs = 0;
    exports.handler = async ({ rawPath }) => { runs += 1; if (rawPath === '/fail') throw new Error('no'); return { statusCode: 200, body: runs } }`);

  await refused(exh.tasks.api.get(name, '/fail'), 'LambdaRuntimeError');

  assert.equal(await exh.tasks.api.get(name, '/'), 2);
});

test('a run over its time is stopped, told with its seconds, and the next one starts anew', async context => {
  const name = await functionOf(context, exh, `let runs = 0;
    exports.handler = async ({ rawPath }) => {
      runs += 1;
      if (rawPath === '/sleep') await new Promise(resolve => setTimeout(resolve, 9000));
      return { statusCode: 200, body: { runs } };
    }`, { timeLimit: 3 });
  assert.deepEqual(await exh.tasks.api.get(name, '/'), { runs: 1 });
  const began = Date.now();

  const error = await refused(exh.tasks.api.get(name, '/sleep'), 'LambdaRuntimeError');

  const seconds = (Date.now() - began) / 1000;
  assert.ok(seconds >= 3 && seconds <= 5, String(seconds));
  assert.equal(error.response.runtimeError.name, 'Sandbox.Timedout');
  assert.match(error.response.runtimeError.message, /Task timed out after 3\.00 seconds/);
  assert.deepEqual(await exh.tasks.api.get(name, '/'), { runs: 1 });
});

test('a function with a time limit over 30 s is refused when it is called', async context => {
  const name = await functionOf(context, exh, 'exports.handler = async () => ({ statusCode: 200 })', { timeLimit: 60 });

  const error = await refused(exh.tasks.api.get(name, '/'), 'TimeLimitExceedsApiFunctionMaximumError');
  assert.deepEqual([error.status, error.response.code], [400, 1411]);

  await exh.tasks.functions.update(name, { timeLimit: 30 });
  assert.equal(await exh.tasks.api.get(name, '/'), '');
});

test('a request of 4 MB passes whole and one of 6.5 MB is refused', async context => {
  const name = await functionOf(context, exh, `const { createHash } = require('crypto');
    exports.handler = async ({ body, isBase64Encoded }) => {
      const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8');
      return { statusCode: 200, body: { length: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') } };
    }`);
  const { createHash, randomBytes } = require('node:crypto');
  const sent = bytes => exh.tasks.api.post(name, '/', bytes, { headers: { 'Content-Type': 'application/octet-stream' } });
  const large = randomBytes(4 * MEGABYTE);

  assert.deepEqual(await sent(large), { length: large.length, sha256: createHash('sha256').update(large).digest('hex') });
  const error = await refused(sent(randomBytes(6.5 * MEGABYTE)), 'LambdaInvocationError');
  assert.deepEqual([error.status, error.response.code], [400, 1405]);
  assert.equal((await sent(Buffer.from('after'))).length, 5);
});

test('an answer of 5 MB passes and one of 7 MB is refused', async context => {
  const name = await functionOf(
    context, exh, "exports.handler = async ({ rawPath }) => ({ statusCode: 200, body: 'x'.repeat(Number(rawPath.slice(1))) })",
  );

  assert.equal((await exh.tasks.api.get(name, `/${5 * MEGABYTE}`)).length, 5 * MEGABYTE);
  const error = await refused(exh.tasks.api.get(name, `/${7 * MEGABYTE}`), 'LambdaRuntimeError');
  assert.deepEqual([error.status, error.response.runtimeError.name], [400, 'Function.ResponseSizeTooLarge']);
  assert.equal(await exh.tasks.api.get(name, '/1'), 'x');
});

test("Express behind serverless-http answers GET and POST as the vendor's sample has it", async context => {
  const code = fs.readFileSync(process.env.EXPRESS_SAMPLE).toString('base64');
  const { name } = await exh.tasks.functions.create({ ...made(''), code, entryPoint: 'sample.handler' });
  context.after(() => exh.tasks.functions.remove(name));

  assert.equal(await exh.tasks.api.get(name, '/'), 'Hello World!');
  assert.deepEqual(await exh.tasks.api.post(name, '/echo?a=1&a=2', { text: 'grüße' }), {
    query: { a: ['1', '2'] }, body: { text: 'grüße' },
  });
  const error = await refused(exh.tasks.api.get(name, '/nowhere'), 'ApiError');
  assert.equal(error.status, 404);
});

test('a Python function answers and its exceptions keep their class names', async context => {
  const code = zipped({
    'index.py': [
      'import json',
      'def handler(event, context):',
      '    if event["rawPath"] == "/key":',
      '        return {}["missing"]',
      '    if event["rawPath"] == "/set":',
      '        return {1, 2}',
      '    return {"statusCode": 201, "body": {"method": event["requestContext"]["http"]["method"], "body": event["body"],',
      '            "name": context.function_name, "left": context.get_remaining_time_in_millis() > 0}}',
    ].join('\n'),
  });
  const { name } = await exh.tasks.functions.create({ ...made(''), code, runtime: 'python3.12' });
  context.after(() => exh.tasks.functions.remove(name));

  assert.deepEqual(await exh.tasks.api.put(name, '/', { a: 1 }), { method: 'PUT', body: '{"a":1}', name, left: true });
  const missing = await refused(exh.tasks.api.get(name, '/key'), 'LambdaRuntimeError');
  assert.deepEqual(missing.response.runtimeError, { name: 'KeyError', message: "'missing'" });
  const set = await refused(exh.tasks.api.get(name, '/set'), 'LambdaRuntimeError');
  assert.equal(set.response.runtimeError.name, 'Runtime.MarshalError');
});

test('Python code that cannot be started is told with the names of the runtime', async context => {
  for (const [source, name] of [
    ['def handler(event, context:\n    pass\n', 'Runtime.UserCodeSyntaxError'],
    ['import not_there\n', 'Runtime.ImportModuleError'],
    ['other = 1\n', 'Runtime.HandlerNotFound'],
  ]) {
    const created = await exh.tasks.functions.create({ ...made(''), code: zipped({ 'index.py': source }), runtime: 'python3.12' });
    context.after(() => exh.tasks.functions.remove(created.name));
    const error = await refused(exh.tasks.api.get(created.name, '/'), 'LambdaRuntimeError');
    assert.equal(error.response.runtimeError.name, name);
  }
});

test('four calls of two seconds at once take about two seconds', async context => {
  const name = await functionOf(context, exh, `exports.handler = async () => {
    await new Promise(resolve => setTimeout(resolve, 2000));
    return { statusCode: 200, body: 'done' };
  }`);
  const began = Date.now();

  const answers = await Promise.all(Array.from({ length: 4 }, () => exh.tasks.api.get(name, '/')));

  const seconds = (Date.now() - began) / 1000;
  assert.deepEqual(answers, ['done', 'done', 'done', 'done']);
  assert.ok(seconds >= 2 && seconds < 4.5, String(seconds));
});

test('the context of a handler says which function it is and how long it has', async context => {
  const name = await functionOf(context, exh, `exports.handler = async (event, context) => ({ statusCode: 200, body: {
    name: context.functionName, memory: context.memoryLimitInMB, id: context.awsRequestId, left: context.getRemainingTimeInMillis() } })`);

  const seen = await exh.tasks.api.get(name, '/');

  assert.equal(seen.name, name);
  assert.equal(String(seen.memory), '128');
  assert.match(seen.id, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  assert.ok(seen.left > 1000 && seen.left <= 30000);
});
