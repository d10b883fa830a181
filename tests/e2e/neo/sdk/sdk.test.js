// The whole surface of the SDK against a running service.
const assert = require('node:assert/strict');
const http = require('node:http');
const { after, before, test } = require('node:test');
const util = require('node:util');
const { NeoServiceError, NeoServiceLayer } = require('@tidemill/neo');

const apiKey = process.env.TIDEMILL_TEST_KEY;
const layer = new NeoServiceLayer({ apiKey });
const ECHO = 'module.exports = async ({ params, log }) => { log.info("got", params); return params }';

async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof NeoServiceError, error);
    assert.ok(error instanceof Error);
    return error;
  }
  return assert.fail('nothing was refused');
}

// Serve what a test wants to be answered, once a request; return how to reach it.
async function serving(...answers) {
  const seen = [];
  const server = http.createServer((request, response) => {
    seen.push(request);
    answers.shift()?.(response);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  const close = () => new Promise(resolve => { server.closeAllConnections(); server.close(resolve); });
  return { url: `http://127.0.0.1:${server.address().port}`, seen, close };
}

function answering(status, body, headers = {}) {
  return response => response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
}

const tooMany = (seconds) => answering(
  429,
  { success: false, error: { code: 'rate_limit_exceeded', message: 'too many requests', details: { limit: 1, reset_in_seconds: seconds } } },
  { 'Retry-After': String(seconds) },
);
const fine = answering(200, { success: true, data: [], pagination: { total: 0, limit: 10, offset: 0, hasMore: false } });

before(async () => {
  await layer.functions.create({ name: 'echo', code: ECHO, runtime: 'node18', tags: ['sdk'], environment: { A: '1' } });
});
after(async () => {
  await layer.functions.delete('echo');
});

test('a function lives from create to delete', async () => {
  const created = await layer.functions.create({ name: 'life', code: ECHO, runtime: 'node18', timeout: 5 });
  assert.equal(created.code, ECHO);
  assert.equal((await layer.functions.get('life')).code, undefined);
  assert.equal((await layer.functions.get(created.id, { includeCode: true })).code, ECHO);
  const updated = await layer.functions.update('life', { description: 'changed', status: 'inactive' });
  assert.deepEqual([updated.description, updated.status, updated.timeout], ['changed', 'inactive', 5]);
  assert.equal((await refused(layer.functions.invoke('life'))).code, 'invalid_request');
  assert.deepEqual(await layer.functions.delete('life'), { id: created.id, deleted: true });
  assert.equal((await refused(layer.functions.get('life'))).code, 'function_not_found');
});

test('a list is an array that knows where in the whole it is', async () => {
  const found = await layer.functions.list({ tag: 'sdk', runtime: 'node18', status: 'active', limit: 1 });
  assert.deepEqual(found.map(each => each.name), ['echo']);
  assert.deepEqual(found.pagination, { total: 1, limit: 1, offset: 0, hasMore: false });
  assert.equal(JSON.stringify(found).includes('pagination'), false);
});

test('a synchronous run gives its result and its execution', async () => {
  const { execution, result } = await layer.functions.invoke('echo', { text: 'ü', n: [1, null] });
  assert.deepEqual(result, { text: 'ü', n: [1, null] });
  assert.match(execution.id, /^exec_[0-9a-f]{24}$/);
  assert.deepEqual((await layer.functions.invoke('echo')).result, {});
});

test('an asynchronous run is waited for', async () => {
  const { execution, result } = await layer.functions.invoke('echo', { n: 1 }, { async: true });
  assert.equal(execution.status, 'running');
  assert.equal(result, undefined);
  const done = await layer.functions.waitForExecution('echo', execution.id);
  assert.deepEqual([done.status, done.result], ['completed', { n: 1 }]);
});

test('the same idempotency key is one execution', async () => {
  const ids = await Promise.all([1, 2, 3].map(async () => {
    const { execution } = await layer.functions.invoke('echo', {}, { async: true, idempotencyKey: 'order-1' });
    return execution.id;
  }));
  assert.equal(new Set(ids).size, 1);
  await layer.functions.waitForExecution('echo', ids[0]);
});

test('executions are listed and read', async () => {
  const { execution } = await layer.functions.invoke('echo', { n: 2 }, { async: true });
  const { startedAt } = await layer.functions.waitForExecution('echo', execution.id);
  const listed = await layer.functions.listExecutions('echo', { limit: 100, status: 'completed', startDate: new Date(startedAt) });
  assert.ok(listed.some(each => each.id === execution.id));
  assert.ok(listed.pagination.total >= 1);
  const before = await layer.functions.listExecutions('echo', { endDate: '2020-01-01' });
  assert.equal(before.length, 0);
  const read = await layer.functions.getExecution('echo', execution.id);
  assert.deepEqual(read.params, { n: 2 });
});

test('environment and grants are replaced', async () => {
  assert.deepEqual(await layer.functions.getEnvironment('echo'), { A: '1' });
  assert.deepEqual(await layer.functions.setEnvironment('echo', { B: '2' }), { B: '2' });
  assert.deepEqual(await layer.functions.getEnvironment('echo'), { B: '2' });
  assert.deepEqual(await layer.functions.setSecrets('echo', ['price-api']), ['price-api']);
  assert.deepEqual((await layer.functions.get('echo')).secrets, ['price-api']);
});

test('a run that fails rejects with what the function threw', async () => {
  await layer.functions.create({ name: 'fails', code: 'module.exports = () => {\n  throw new RangeError("too far") }', runtime: 'node18' });
  const error = await refused(layer.functions.invoke('fails'));
  assert.deepEqual([error.code, error.status, error.details.name, error.details.message], ['execution_error', 500, 'RangeError', 'too far']);
  assert.match(error.details.stack, /\/function\/index\.js:2/);
  assert.match(error.executionId, /^exec_/);
  const { execution } = await layer.functions.invoke('fails', {}, { async: true });
  const failed = await layer.functions.waitForExecution('fails', execution.id);
  assert.deepEqual([failed.status, failed.error.name], ['failed', 'RangeError']);
  await layer.functions.delete('fails');
});

test('a refusal says what is wrong, with the id of the request', async () => {
  const error = await refused(layer.functions.create({ name: 'no spaces', code: '1', runtime: 'node18' }));
  assert.deepEqual([error.name, error.code, error.status, error.details.field], ['NeoServiceError', 'invalid_request', 400, 'name']);
  assert.match(error.requestId, /^[0-9a-f]{24}$/);
  assert.equal(error.executionId, null);
  const nobody = new NeoServiceLayer({ apiKey: 'sl_wrong' });
  assert.equal((await refused(nobody.functions.list())).code, 'unauthorized');
  assert.equal((await refused(new NeoServiceLayer().functions.list())).code, 'unauthorized');
});

test('secrets are kept and never shown', async () => {
  const made = await layer.secrets.create({ name: 'sdk-secret', value: 'confidential', description: 'd' });
  assert.match(made.id, /^sec_[a-z0-9]{10}$/);
  const renewed = await layer.secrets.update('sdk-secret', { value: 'renewed' });
  assert.equal(renewed.version, made.version + 1);
  const shown = [await layer.secrets.get(made.id), ...await layer.secrets.list({ limit: 100 })];
  assert.deepEqual([...new Set(shown.map(each => each.name))], ['sdk-secret']);
  assert.equal(JSON.stringify(shown).includes('renewed'), false);
  assert.deepEqual(await layer.secrets.delete('sdk-secret'), { id: made.id, deleted: true });
  assert.equal((await refused(layer.secrets.get('sdk-secret'))).code, 'not_found');
});

test('keys are made, rotated and revoked', async () => {
  const made = await layer.apiKeys.create({ name: 'reader', permissions: ['read'] });
  const reader = new NeoServiceLayer({ apiKey: made.key });
  assert.ok(Array.isArray(await reader.functions.list()));
  const error = await refused(reader.functions.invoke('echo'));
  assert.deepEqual([error.code, error.details.required], ['forbidden', 'execute']);
  const listed = await layer.apiKeys.list({ limit: 100 });
  assert.ok(listed.some(each => each.id === made.id && each.key === undefined));
  const rotated = await layer.apiKeys.rotate(made.id);
  assert.notEqual(rotated.key, made.key);
  assert.deepEqual(await layer.apiKeys.revoke(rotated.id), { id: rotated.id, revoked: true });
  assert.equal((await refused(new NeoServiceLayer({ apiKey: rotated.key }).functions.list())).code, 'unauthorized');
});

test('attestation and health need no key', async () => {
  const anonymous = new NeoServiceLayer();
  const document = await anonymous.attestation.get({ nonce: 'c0ffee' });
  assert.deepEqual([document.simulated, document.nonce], [true, 'c0ffee']);
  assert.equal((await anonymous.attestation.verify(document)).valid, true);
  assert.equal((await anonymous.attestation.verify({ ...document, nonce: 'c0ffe0' })).valid, false);
  assert.ok((await anonymous.health()).runtimes);
});

test('the key is not shown when a client is printed', () => {
  assert.equal(util.inspect(layer, { depth: 9, showHidden: true }).includes(apiKey), false);
  assert.equal(JSON.stringify(layer).includes(apiKey), false);
});

test('ids that are none are refused before anything is sent', async () => {
  for (const id of ['', '.', '..', undefined, 7]) {
    assert.throws(() => layer.functions.get(id), TypeError);
  }
  assert.equal((await refused(layer.functions.get('../functions'))).code, 'function_not_found');
});

test('the address may end with a slash or with the version', async () => {
  for (const baseUrl of [process.env.TIDEMILL_URL, `${process.env.TIDEMILL_URL}/`, `${process.env.TIDEMILL_URL}/v1`]) {
    assert.ok(await new NeoServiceLayer({ apiKey, baseUrl }).functions.get('echo'));
  }
});

test('a request refused for its rate is repeated once, when asked for, after the time told', async () => {
  const service = await serving(tooMany(1), fine);
  const began = performance.now();
  const patient = new NeoServiceLayer({ baseUrl: service.url, retryOnRateLimit: true });
  assert.deepEqual([...await patient.functions.list()], []);
  assert.ok(performance.now() - began >= 950);
  assert.equal(service.seen.length, 2);
  await service.close();
});

test('it is not repeated twice, nor unasked, nor after an unreasonable time', async () => {
  const service = await serving(tooMany(0), tooMany(0), tooMany(0), tooMany(3600));
  const patient = new NeoServiceLayer({ baseUrl: service.url, retryOnRateLimit: true });
  assert.equal((await refused(patient.functions.list())).status, 429);
  assert.equal(service.seen.length, 2);
  const error = await refused(new NeoServiceLayer({ baseUrl: service.url }).functions.list());
  assert.deepEqual([error.code, error.retryAfter, service.seen.length], ['rate_limit_exceeded', 0, 3]);
  assert.equal((await refused(patient.functions.list())).retryAfter, 3600);
  assert.equal(service.seen.length, 4);
  await service.close();
});

test('a service that does not answer is given up', async () => {
  const service = await serving(() => {}, () => {});
  const client = new NeoServiceLayer({ baseUrl: service.url, timeout: 100 });
  assert.equal((await refused(client.functions.list())).code, 'timeout');
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50);
  await assert.rejects(client.functions.list({ signal: stop.signal, timeout: 10_000 }), { name: 'AbortError' });
  await service.close();
  assert.equal((await refused(client.functions.list())).code, 'network_error');
});

test('waiting for an execution has an end', async () => {
  const running = answering(200, { success: true, data: { id: 'exec_1', status: 'running' } });
  const service = await serving(...Array(20).fill(running));
  const client = new NeoServiceLayer({ baseUrl: service.url });
  const error = await refused(client.functions.waitForExecution('f', 'exec_1', { timeout: 300 }));
  assert.equal(error.code, 'timeout');
  assert.ok(service.seen.length <= 5);
  await service.close();
});

test('an answer that is no envelope, and a redirect, are errors', async () => {
  const service = await serving(
    response => response.writeHead(502, { 'Content-Type': 'text/html' }).end('<h1>Bad gateway</h1>'),
    answering(302, {}, { Location: 'https://example.com/' }),
  );
  const client = new NeoServiceLayer({ baseUrl: service.url, apiKey });
  const error = await refused(client.functions.list());
  assert.deepEqual([error.code, error.status], ['unexpected_response', 502]);
  assert.equal((await refused(client.functions.list())).code, 'network_error');
  await service.close();
});
