// Direct execution (contract sections 3.1 and 7; checks 34 and 35).
const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { administrator, anonymous, eventually, functionOf, http, mode, nobody, refused } = require('./support');

const GREETS = "exports.handler = async ({ data }) => { console.log('hi'); return { hi: data && data.who, snake_case: 1 } }";
const THROWS = "exports.handler = async () => { const e = new Error('no line'); e.name = 'CONNECTION_ERROR'; throw e }";

let exh;
before(async () => {
  exh = await administrator();
});

test('executing gives the finished task with its result', async context => {
  const name = await functionOf(context, exh, GREETS, { executionOptions: { defaultPriority: 5 } });
  const data = { who: 'Bo', snake_key: { deep_key: 1.5 } };
  const { result, ...task } = await exh.tasks.functions.execute(name, data);

  assert.deepEqual(result, { hi: 'Bo', snake_case: 1 });
  assert.deepEqual([task.functionName, task.status, task.data, task.tags], [name, 'complete', data, []]);
  assert.ok(task.statusChangedTimestamp >= task.creationTimestamp);
  assert.deepEqual(await exh.tasks.findById(task.id), task);
  const lines = await eventually(() => exh.tasks.logs.find(task.id));
  assert.match(lines[0].message, /\tINFO\thi\n$/);
  await refused(exh.tasks.cancel(task.id), 'IllegalStateError');
});

test('executing needs no data and no body', async context => {
  const name = await functionOf(context, exh, GREETS);
  const { accessToken: token } = await exh.auth.authenticate({ username: process.env.EMAIL, password: process.env.PASSWORD });

  const { data, result } = await exh.tasks.functions.execute(name);
  assert.deepEqual([data, result], [undefined, { snake_case: 1 }]);
  for (const slash of ['', '/']) {
    const answer = await http('POST', `/tasks/v1/functions/${name}/execute${slash}`, { token });
    assert.deepEqual([answer.status, (await answer.json()).result], [200, { snake_case: 1 }]);
  }
});

test('a result may be any JSON, and nothing is null', async context => {
  const name = await functionOf(context, exh, 'exports.handler = async ({ data }) => data.give');

  for (const give of [0, false, '', 'ü\u2028', [], [1, { a: null }], null]) {
    assert.deepEqual((await exh.tasks.functions.execute(name, { give })).result, give);
  }
  assert.equal((await exh.tasks.functions.execute(name, {})).result, null);
});

test('what the function throws is told with its task, which has failed', async context => {
  const name = await functionOf(context, exh, THROWS, { retryPolicy: { enabled: true, errorsToRetry: [] } });
  const error = await refused(exh.tasks.functions.execute(name, { x: 1 }), 'LambdaRuntimeError');

  assert.deepEqual([error.status, error.response.code, error.response.name], [400, 1406, 'LAMBDA_RUNTIME_EXCEPTION']);
  assert.deepEqual(error.response.runtimeError, { name: 'CONNECTION_ERROR', message: 'no line' });
  const task = await exh.tasks.findById(error.response.taskId);
  assert.deepEqual([task.status, task.data, task.retriedByTaskId], ['failed', { x: 1 }, undefined]);
  assert.deepEqual(task.error, { type: 'runtime', ...error.response.runtimeError });
});

test('a run over its time is told with its seconds', async context => {
  const source = 'exports.handler = () => new Promise(done => setTimeout(done, 9000))';
  const name = await functionOf(context, exh, source, { timeLimit: 3 });
  const error = await refused(exh.tasks.functions.execute(name), 'LambdaRuntimeError');

  assert.equal(error.response.runtimeError.name, 'Sandbox.Timedout');
  assert.match(error.response.runtimeError.message, /Task timed out after 3\.00 seconds/);
});

test('an unknown and a disabled function are not executed', async context => {
  const name = await functionOf(context, exh, GREETS);
  await exh.tasks.functions.disable(name);

  await refused(exh.tasks.functions.execute(name), 'IllegalStateError');
  await refused(exh.tasks.functions.execute(`${name}-none`), 'ResourceUnknownError');
});

test('the mode of a function says who may execute it', async context => {
  const open = await functionOf(context, exh, GREETS, mode('public'));
  const users = await functionOf(context, exh, GREETS, mode('allUsers'));
  const closed = await functionOf(context, exh, GREETS);
  const stranger = await nobody();

  const { createdByUserId, status } = await anonymous().tasks.functions.execute(open);
  assert.deepEqual([createdByUserId, status], [undefined, 'complete']);
  await refused(anonymous().tasks.functions.execute(users), 'UserNotAuthenticatedError');
  await refused(anonymous().tasks.functions.execute(closed), 'UserNotAuthenticatedError');
  assert.equal((await stranger.tasks.functions.execute(users)).status, 'complete');
  await refused(stranger.tasks.functions.execute(closed), 'NoPermissionError');
});

test('data of several megabytes passes and an event over 6 MB is refused', async context => {
  const name = await functionOf(context, exh, 'exports.handler = async ({ data }) => data.x.length');

  const size = 4 * 1024 * 1024;
  assert.equal((await exh.tasks.functions.execute(name, { x: 'y'.repeat(size) })).result, size);
  const error = await refused(exh.tasks.functions.execute(name, { x: 'y'.repeat(6.5 * 1024 * 1024) }), 'LambdaInvocationError');
  assert.deepEqual([error.status, error.response.code], [400, 1405]);
});
