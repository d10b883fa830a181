// Functions made, read, changed, switched off and removed (contract section 3.1; checks 7 to 10).
const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { administrator, functionOf, http, made, mode, nobody, refused, unique, zipped } = require('./support');

const HELLO = 'exports.handler = async () => ({ statusCode: 200, body: { said: process.env.WORD || "hello" } })';

let exh;
let token;
before(async () => {
  exh = await administrator();
  token = (await exh.auth.authenticate({ username: process.env.EMAIL, password: process.env.PASSWORD })).accessToken;
});

function isNow(moment) {
  assert.ok(moment instanceof Date);
  assert.ok(Math.abs(Date.now() - moment) < 60000);
}

test('creating from a zip shows every field and no code', async context => {
  const given = {
    description: 'says hi',
    timeLimit: 12,
    memoryLimit: 256,
    environmentVariables: { LANG_DEFAULT: { value: 'en' }, lower_case: { value: 'kept' } },
    executionOptions: { permissionMode: 'allUsers', defaultPriority: -3 },
    retryPolicy: { enabled: true, errorsToRetry: ['CONNECTION_ERROR'] },
  };
  const body = made(HELLO, given);
  const created = await exh.tasks.functions.create(body);
  context.after(() => exh.tasks.functions.remove(body.name));
  const { updateTimestamp, ...fields } = created;

  isNow(updateTimestamp);
  assert.deepEqual(fields, { name: body.name, entryPoint: 'index.handler', runtime: 'nodejs20.x', enabled: true, ...given });
  assert.deepEqual(await exh.tasks.functions.getByName(body.name), created);
});

test('what is left out has its published default', async context => {
  const name = await functionOf(context, exh, HELLO);
  const { updateTimestamp, ...fields } = await exh.tasks.functions.getByName(name);

  isNow(updateTimestamp);
  assert.deepEqual(fields, {
    name,
    description: '',
    enabled: true,
    entryPoint: 'index.handler',
    runtime: 'nodejs20.x',
    timeLimit: 30,
    memoryLimit: 128,
    environmentVariables: {},
    executionOptions: { permissionMode: 'permissionRequired', defaultPriority: 0 },
    retryPolicy: { enabled: false, errorsToRetry: [] },
  });
});

test('times are ISO 8601 in UTC with milliseconds on the wire', async context => {
  const name = await functionOf(context, exh, HELLO);
  const answer = await http('GET', `/tasks/v1/functions/${name}`, { token });

  assert.match((await answer.json()).updateTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('an entry point may lie in a folder', async context => {
  const body = { ...made(''), code: zipped({ 'build/main.js': HELLO }), entryPoint: 'build/main.handler' };
  await exh.tasks.functions.create(body);
  context.after(() => exh.tasks.functions.remove(body.name));

  assert.deepEqual(await exh.tasks.api.get(body.name, '/'), { said: 'hello' });
});

test('every runtime of the real one that can run here is taken under its own name', async context => {
  for (const runtime of ['nodejs24.x', 'nodejs22.x', 'nodejs18.x', 'nodejs16.x', 'python3.8', 'python3.14']) {
    const code = zipped({ 'index.js': HELLO, 'index.py': 'def handler(event, context):\n    return {"statusCode": 200}\n' });
    const { name, ...shown } = await exh.tasks.functions.create({ ...made(HELLO, { runtime }), code });
    context.after(() => exh.tasks.functions.remove(name));
    assert.equal(shown.runtime, runtime);
  }
});

test('a runtime this host cannot run is refused with the list of those it can', async () => {
  for (const runtime of ['ruby3.3', 'java21', 'dotnet8', 'nodejs', 'perl5']) {
    const error = await refused(exh.tasks.functions.create(made(HELLO, { runtime })), 'FieldFormatError');
    assert.deepEqual([error.status, error.response.code], [400, 15]);
    assert.match(error.message, /nodejs20\.x.*python3\.12/s);
  }
});

test('a taken name is refused and the function stays as it is', async context => {
  const name = await functionOf(context, exh, HELLO, { description: 'the first' });

  const error = await refused(exh.tasks.functions.create(made(HELLO, { name })), 'ResourceAlreadyExistsError');

  assert.deepEqual([error.status, error.response.code], [400, 17]);
  assert.equal((await exh.tasks.functions.getByName(name)).description, 'the first');
});

test('what is no zip is refused', async () => {
  const notZip = Buffer.from('not a zip').toString('base64');
  for (const code of [notZip, zipped({}), '', 'no Base64 !']) {
    const error = await refused(exh.tasks.functions.create({ ...made(HELLO), code }), 'InvalidFunctionCodeError');
    assert.deepEqual([error.status, error.response.code], [400, 1401], JSON.stringify(code));
  }
});

test('a missing field is refused and named', async () => {
  for (const field of ['name', 'code', 'entryPoint', 'runtime']) {
    const { [field]: left, ...body } = made(HELLO);
    const error = await refused(exh.tasks.functions.create(body), 'MissingRequiredFieldsError');
    assert.deepEqual([error.status, error.response.code], [400, 14], left);
    assert.ok(error.message.includes(field), error.message);
  }
});

test('a wrong field is refused and named', async () => {
  const wrong = [
    ['timeLimit', 2], ['timeLimit', 301], ['timeLimit', 3.5], ['timeLimit', '10'],
    ['memoryLimit', 64], ['memoryLimit', 10241], ['memoryLimit', null],
    ['executionOptions', { permissionMode: 'everybody' }], ['executionOptions', { defaultPriority: 0.5 }],
    ['executionOptions', []], ['environmentVariables', { KEY: 'text' }], ['environmentVariables', { KEY: { value: 1 } }],
    ['retryPolicy', { enabled: 'yes' }], ['retryPolicy', { enabled: true, errorsToRetry: 'all' }],
    ['description', 7], ['entryPoint', 'index'], ['entryPoint', '../index.handler'], ['entryPoint', '/index.handler'],
    ['runtime', 20],
  ];
  for (const [field, value] of wrong) {
    const error = await refused(exh.tasks.functions.create(made(HELLO, { [field]: value })), 'FieldFormatError');
    assert.deepEqual([error.status, error.response.code], [400, 15], `${field}: ${JSON.stringify(value)}`);
    assert.ok(error.message.includes(field), error.message);
  }
});

test('a bad name is refused', async () => {
  for (const name of ['a b', 'a/b', 'a.b', 'ä', '']) {
    const error = await refused(exh.tasks.functions.create(made(HELLO, { name })), 'InvalidFunctionNameError');
    assert.deepEqual([error.status, error.response.code], [400, 1407], name);
  }
});

test('a zip without the entry point fails as a runtime error when it is called', async context => {
  const name = await functionOf(context, exh, HELLO, { entryPoint: 'missing.handler' });

  const error = await refused(exh.tasks.api.get(name, '/'), 'LambdaRuntimeError');

  assert.equal(error.response.runtimeError.name, 'Runtime.ImportModuleError');
});

test('an environment of 5 KB is refused and one of 4096 bytes is not', async context => {
  const environment = bytes => ({ environmentVariables: { KEY: { value: 'x'.repeat(bytes - 'KEY'.length) } } });
  const error = await refused(exh.tasks.functions.create(made(HELLO, environment(5120))), 'InvalidFunctionParameterError');
  assert.deepEqual([error.status, error.response.code], [400, 1402]);

  const name = await functionOf(context, exh, HELLO, environment(4096));
  const changed = exh.tasks.functions.update(name, environment(4097));
  assert.equal((await refused(changed, 'InvalidFunctionParameterError')).response.code, 1402);
});

test('a body that is none or no JSON is told apart', async () => {
  const sent = async body => {
    const answer = await http('POST', '/tasks/v1/functions/', { token, body, headers: { 'Content-Type': 'application/json' } });
    return [answer.status, (await answer.json()).code];
  };
  assert.deepEqual(await sent(''), [400, 13]);
  assert.deepEqual(await sent('{'), [400, 22]);
});

test('the list has every function in one page with three fields each', async context => {
  const names = [];
  for (let count = 0; count < 3; count += 1) names.push(await functionOf(context, exh, HELLO, { description: 'listed' }));

  const found = await exh.tasks.functions.find();

  assert.deepEqual(found.page, { total: found.data.length, offset: 0, limit: found.data.length });
  const mine = found.data.filter(({ name }) => names.includes(name));
  assert.equal(mine.length, 3);
  for (const { updateTimestamp, ...rest } of mine) {
    isNow(updateTimestamp);
    assert.deepEqual(rest, { name: rest.name, description: 'listed' });
  }
});

test('the list answers with and without a slash and redirects nobody', async () => {
  for (const path of ['/tasks/v1/functions', '/tasks/v1/functions/', '/tasks/v1/functions/?eq(name,nobody)&limit(1)']) {
    assert.equal((await http('GET', path, { token })).status, 200, path);
  }
});

test('an update changes what it names and ignores what it does not know', async context => {
  const name = await functionOf(context, exh, HELLO, {
    timeLimit: 10, environmentVariables: { WORD: { value: 'first' }, OTHER: { value: 'gone' } },
  });
  const before_ = await exh.tasks.functions.getByName(name);

  const answer = await exh.tasks.functions.update(name, {
    name: 'another', description: 'changed', unheardOf: { deep: true }, environmentVariables: { WORD: { value: 'second' } },
  });

  assert.deepEqual(answer, { affectedRecords: 1 });
  const shown = await exh.tasks.functions.getByName(name);
  assert.deepEqual(
    { ...shown, updateTimestamp: 0 },
    { ...before_, description: 'changed', environmentVariables: { WORD: { value: 'second' } }, updateTimestamp: 0 },
  );
  assert.ok(shown.updateTimestamp >= before_.updateTimestamp);
  assert.deepEqual(await exh.tasks.api.get(name, '/'), { said: 'second' });
});

test('an update of the code is what runs next', async context => {
  const name = await functionOf(context, exh, HELLO);
  assert.deepEqual(await exh.tasks.api.get(name, '/'), { said: 'hello' });

  await exh.tasks.functions.update(name, { code: zipped({ 'index.js': HELLO.replace('hello', 'new') }) });

  assert.deepEqual(await exh.tasks.api.get(name, '/'), { said: 'new' });
});

test('a bad update changes nothing', async context => {
  const name = await functionOf(context, exh, HELLO, { description: 'as it was' });

  await refused(exh.tasks.functions.update(name, { description: 'changed', timeLimit: 2 }), 'FieldFormatError');

  assert.equal((await exh.tasks.functions.getByName(name)).description, 'as it was');
});

test('a removed function is gone from every call', async () => {
  const { name } = await exh.tasks.functions.create(made(HELLO));
  assert.deepEqual(await exh.tasks.functions.remove(name), { affectedRecords: 1 });

  const gone = [
    exh.tasks.functions.getByName(name), exh.tasks.functions.update(name, { description: 'x' }),
    exh.tasks.functions.remove(name), exh.tasks.functions.enable(name), exh.tasks.functions.disable(name),
    exh.tasks.api.get(name, '/'), exh.tasks.functions.execute(name),
  ];
  for (const error of await Promise.all(gone.map(call => refused(call, 'ResourceUnknownError')))) {
    assert.deepEqual([error.status, error.response.code], [404, 16]);
  }
});

test('a disabled function is not called and an enabled one again', async context => {
  const name = await functionOf(context, exh, HELLO);

  for (let twice = 0; twice < 2; twice += 1) assert.deepEqual(await exh.tasks.functions.disable(name), { affectedRecords: 1 });
  assert.equal((await exh.tasks.functions.getByName(name)).enabled, false);
  for (const call of [() => exh.tasks.api.get(name, '/'), () => exh.tasks.functions.execute(name)]) {
    const error = await refused(call(), 'IllegalStateError');
    assert.deepEqual([error.status, error.response.code], [400, 27]);
  }

  for (let twice = 0; twice < 2; twice += 1) assert.deepEqual(await exh.tasks.functions.enable(name), { affectedRecords: 1 });
  assert.deepEqual(await exh.tasks.api.get(name, '/'), { said: 'hello' });
});

test('who has no permission manages nothing and is told which one is missing', async context => {
  const name = await functionOf(context, exh, HELLO, mode('public'));
  const plain = await nobody();

  const calls = [
    ['VIEW_TASK_FUNCTIONS', () => plain.tasks.functions.find()],
    ['VIEW_TASK_FUNCTION_DETAILS', () => plain.tasks.functions.getByName(name)],
    ['CREATE_TASK_FUNCTION', () => plain.tasks.functions.create(made(HELLO))],
    ['UPDATE_TASK_FUNCTION', () => plain.tasks.functions.update(name, { description: 'x' })],
    ['UPDATE_TASK_FUNCTION', () => plain.tasks.functions.enable(name)],
    ['UPDATE_TASK_FUNCTION', () => plain.tasks.functions.disable(name)],
    ['DELETE_TASK_FUNCTION', () => plain.tasks.functions.remove(name)],
    ['VIEW_API_FUNCTION_REQUESTS', () => plain.tasks.apiRequests.find()],
    ['VIEW_API_FUNCTION_REQUEST_LOGS', () => plain.tasks.apiRequests.logs.find('0'.repeat(24))],
  ];
  for (const [permission, call] of calls) {
    const error = await refused(call(), 'NoPermissionError');
    assert.deepEqual([error.status, error.response.code], [401, 10]);
    assert.ok(error.message.includes(permission), error.message);
  }
  assert.deepEqual(await plain.tasks.api.get(name, '/'), { said: 'hello' });
});

test('nobody without a token is told what exists', async () => {
  for (const name of [unique('none'), 'any']) {
    const answer = await http('GET', `/tasks/v1/functions/${name}`);
    assert.deepEqual([answer.status, (await answer.json()).code], [401, 104]);
  }
});
