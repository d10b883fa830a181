// Tasks from their making to their end (contract sections 3.4 and 11; checks 20 and 28 to 30 and 32).
const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { rqlBuilder } = require('@extrahorizon/javascript-sdk');
const { administrator, anonymous, eventually, functionOf, http, nobody, refused, unique } = require('./support');

const UNKNOWN = 'ffffffffffffffffffffffff';
const TALKS = `exports.handler = async event => {
  console.log('got', JSON.stringify(event));
  console.error('done');
}`;
const THROWS = "exports.handler = async () => { console.log('before'); throw new RangeError('qty too big'); }";
const IDLES = 'exports.handler = async () => {}';

let exh;
before(async () => {
  exh = await administrator();
});

// The task once it has one of these statuses.
function ended(id, ...statuses) {
  return eventually(async () => {
    const task = await exh.tasks.findById(id);
    assert.ok(statuses.includes(task.status), `${task.status} ${JSON.stringify(task.error)}`);
    return task;
  }, 20000);
}

const where = text => rqlBuilder().eq('functionName', text);
const inSeconds = seconds => new Date(Date.now() + seconds * 1000);

test('a task is new with every field and complete soon after', async context => {
  const name = await functionOf(context, exh, IDLES);
  const { userId, applicationId } = await exh.auth.authenticate({ username: process.env.EMAIL, password: process.env.PASSWORD });
  const data = { who: 'Bo', myKey: 1, nested: { snake_case: [1, null] } };
  const task = await exh.tasks.create({ functionName: name, data, tags: ['nightly'], priority: 7 });

  assert.match(task.id, /^[0-9a-f]{24}$/);
  const { id, creationTimestamp: created, startTimestamp, statusChangedTimestamp, updateTimestamp, ...rest } = task;
  assert.deepEqual(rest, {
    functionName: name, status: 'new', data, tags: ['nightly'], priority: 7,
    createdByUserId: userId, createdByApplicationId: applicationId,
  });
  for (const moment of [created, startTimestamp, statusChangedTimestamp, updateTimestamp]) {
    assert.ok(Math.abs(Date.now() - moment.getTime()) < 10000);
  }
  const complete = await ended(id, 'complete');
  assert.deepEqual({ ...complete, status: 'new', statusChangedTimestamp, updateTimestamp }, task);
  assert.ok(complete.statusChangedTimestamp > statusChangedTimestamp);
  assert.deepEqual(complete.statusChangedTimestamp, complete.updateTimestamp);
});

test('the function gets the task for its event and what it writes is shown', async context => {
  const name = await functionOf(context, exh, TALKS);
  const { id } = await exh.tasks.create({ functionName: name, data: { who: 'Bo' }, tags: ['x'], priority: 3 });
  const task = await ended(id, 'complete');
  const lines = await eventually(() => exh.tasks.logs.find(id));

  assert.deepEqual(lines.map(line => line.message.split('\t')[2]), ['INFO', 'ERROR']);
  assert.equal(new Set(lines.map(line => line.message.split('\t')[1])).size, 1);
  assert.ok(lines[0].timestamp instanceof Date);
  const event = JSON.parse(lines[0].message.split('\t')[3].slice('got '.length));
  const iso = moment => moment.toISOString();
  assert.deepEqual(event, {
    ...task,
    status: 'inProgress',
    startTimestamp: iso(task.startTimestamp),
    creationTimestamp: iso(task.creationTimestamp),
    statusChangedTimestamp: event.statusChangedTimestamp,
    updateTimestamp: event.statusChangedTimestamp,
  });
});

test('log lines can be asked for from a moment on and in no other way', async context => {
  const name = await functionOf(context, exh, TALKS);
  const { id } = await exh.tasks.create({ functionName: name });
  await ended(id, 'complete');
  const lines = await eventually(() => exh.tasks.logs.find(id));

  const early = rqlBuilder().ge('timestamp', '2020-01-01T00:00:00.000Z').build();
  assert.deepEqual(await exh.tasks.logs.find(id, { rql: early }), lines);
  assert.deepEqual(await exh.tasks.logs.findFirst(id), lines[0]);
  const late = rqlBuilder().ge('timestamp', '2099-01-01T00:00:00.000Z').build();
  await refused(exh.tasks.logs.find(id, { rql: late }), 'NoTaskLogsFoundError');
  const other = rqlBuilder().lt('timestamp', '2099-01-01T00:00:00.000Z').build();
  await refused(exh.tasks.logs.find(id, { rql: other }), 'InvalidRqlError');
});

test('a silent task has no log lines and a waiting one has not run', async context => {
  const name = await functionOf(context, exh, IDLES);
  const silent = await exh.tasks.create({ functionName: name });
  const waiting = await exh.tasks.create({ functionName: name, startTimestamp: inSeconds(3600) });
  await ended(silent.id, 'complete');

  const none = await refused(exh.tasks.logs.find(silent.id), 'NoTaskLogsFoundError');
  assert.deepEqual([none.status, none.response.code], [400, 1408]);
  const early = await refused(exh.tasks.logs.find(waiting.id), 'IllegalStateError');
  assert.deepEqual([early.status, early.response.code], [400, 27]);
  await exh.tasks.cancel(waiting.id);
});

test('a task that throws has failed and says why', async context => {
  const name = await functionOf(context, exh, THROWS);
  const { id } = await exh.tasks.create({ functionName: name });
  const task = await ended(id, 'failed');

  assert.deepEqual(task.error, { type: 'runtime', name: 'RangeError', message: 'qty too big' });
  const lines = await eventually(() => exh.tasks.logs.find(id));
  assert.match(lines[0].message, /\tINFO\tbefore\n$/);
  const rql = where(name).eq('error.name', 'RangeError').eq('error.type', 'runtime').build();
  assert.equal((await exh.tasks.findFirst({ rql })).id, id);
  await refused(exh.tasks.cancel(id), 'IllegalStateError');
});

test('a task of a function that is not there or disabled is taken and fails before it runs', async context => {
  const gone = unique('gone');
  const off = await functionOf(context, exh, IDLES);
  await exh.tasks.functions.disable(off);
  for (const [functionName, name] of [[gone, 'RESOURCE_UNKNOWN_EXCEPTION'], [off, 'ILLEGAL_STATE_EXCEPTION']]) {
    const { id } = await exh.tasks.create({ functionName });
    const task = await ended(id, 'failed');
    assert.deepEqual([task.error.type, task.error.name], ['invocation', name]);
  }
});

test('a task that is due later waits until then', async context => {
  const name = await functionOf(context, exh, IDLES);
  const startTimestamp = inSeconds(3);
  const { id } = await exh.tasks.create({ functionName: name, startTimestamp });

  assert.equal((await exh.tasks.findById(id)).status, 'new');
  const task = await ended(id, 'complete');
  assert.deepEqual(task.startTimestamp, startTimestamp);
  const late = task.statusChangedTimestamp - startTimestamp;
  assert.ok(late >= 0 && late < 8000, `${late} ms after it was due`);
});

test('a task is called off before it begins and not twice', async context => {
  const name = await functionOf(context, exh, IDLES);
  const { id } = await exh.tasks.create({ functionName: name, startTimestamp: inSeconds(3600) });

  assert.deepEqual(await exh.tasks.cancel(id), { affectedRecords: 1 });
  assert.equal((await exh.tasks.findById(id)).status, 'canceled');
  const again = await refused(exh.tasks.cancel(id), 'IllegalStateError');
  assert.equal(again.response.code, 27);
});

test('an unknown task and a malformed id are told apart', async () => {
  assert.equal(await exh.tasks.findById(UNKNOWN), undefined);
  await refused(exh.tasks.cancel(UNKNOWN), 'ResourceUnknownError');
  await refused(exh.tasks.logs.find(UNKNOWN), 'ResourceUnknownError');
  await refused(exh.tasks.cancel('nonsense'), 'IDFormatError');
  await refused(exh.tasks.logs.find('nonsense'), 'IDFormatError');
});

test('tasks are found by tags and by what is in their data', async context => {
  const name = await functionOf(context, exh, IDLES);
  const first = await exh.tasks.create({ functionName: name, tags: ['red', 'dark (blue)'], data: { x: 5, of: { who: "it's" } } });
  const second = await exh.tasks.create({ functionName: name, tags: ['blue'], data: { x: '5', list: [{ a: 1, b: 'n' }] } });
  async function ids(change) {
    const rql = change(where(name)).sort('creationTimestamp', 'id').build();
    return (await exh.tasks.find({ rql })).data.map(task => task.id);
  }

  assert.deepEqual(await ids(rql => rql.eq('tags', 'dark (blue)')), [first.id]);
  assert.deepEqual(await ids(rql => rql.ne('tags', 'blue')), [first.id]);
  assert.deepEqual(await ids(rql => rql.in('tags', ['blue', 'green'])), [second.id]);
  assert.deepEqual(await ids(rql => rql.out('tags', ['blue', 'green'])), [first.id]);
  assert.deepEqual(await ids(rql => rql.like('tags', 'blue')), [first.id, second.id]);
  assert.deepEqual(await ids(rql => rql.eq('data.x', '5')), [first.id, second.id]);
  assert.deepEqual(await ids(rql => rql.eq('data.of.who', "it's")), [first.id]);
  assert.deepEqual(await ids(rql => rql.contains('data.of')), [first.id]);
  assert.deepEqual(await ids(rql => rql.excludes('data.of')), [second.id]);
  const element = rqlBuilder().eq('a', '1').eq('b', 'n').intermediate();
  assert.deepEqual(await ids(rql => rql.contains('data.list', element)), [second.id]);
  assert.deepEqual(await ids(rql => rql.eq('data.list.a', '2')), []);
  await refused(exh.tasks.find({ rql: rqlBuilder().eq('nonsense', 'x').build() }), 'InvalidRqlError');
});

test('the SDK walks through pages of tasks', async context => {
  const name = await functionOf(context, exh, IDLES);
  const made = await Promise.all(Array.from({ length: 55 }, () => exh.tasks.create({ functionName: name })));

  const all = await exh.tasks.findAll({ rql: where(name).sort('id').build() });
  assert.deepEqual(all.map(task => task.id), made.map(task => task.id).sort());
  const page = await exh.tasks.find({ rql: where(name).limit(10).select(['id', 'status']).build() });
  assert.deepEqual([page.page.total, page.data.length], [55, 10]);
  assert.deepEqual(Object.keys(page.data[0]).sort(), ['id', 'status']);
});

test('a priority is the one of the task, else of the function, else 0', async context => {
  const urgent = await functionOf(context, exh, IDLES, { executionOptions: { defaultPriority: 12 } });
  const plain = await functionOf(context, exh, IDLES);

  assert.equal((await exh.tasks.create({ functionName: urgent })).priority, 12);
  assert.equal((await exh.tasks.create({ functionName: urgent, priority: -3 })).priority, -3);
  assert.equal((await exh.tasks.create({ functionName: plain })).priority, 0);
});

test('a wrong task is refused and its field named', async () => {
  const functionName = 'any';
  for (const [body, className, field] of [
    [{}, 'MissingRequiredFieldsError', 'functionName'],
    [{ functionName, data: 'text' }, 'FieldFormatError', 'data'],
    [{ functionName, data: { x: 'y'.repeat(250 * 1024) } }, 'FieldFormatError', 'data'],
    [{ functionName, data: { x: 'a\0b' } }, 'FieldFormatError', 'data'],
    [{ functionName, priority: 2 ** 53 }, 'FieldFormatError', 'priority'],
    [{ functionName, tags: [5] }, 'FieldFormatError', 'tags'],
    [{ functionName, startTimestamp: 'soon' }, 'FieldFormatError', 'startTimestamp'],
  ]) {
    const error = await refused(exh.tasks.create(body), className);
    assert.match(error.response.message, new RegExp(field));
  }
});

test('a function with a time limit over 30 s runs as a task', async context => {
  const name = await functionOf(context, exh, IDLES, { timeLimit: 60 });
  const error = await refused(exh.tasks.functions.execute(name), 'TimeLimitExceedsDirectExecutionMaximumError');
  assert.deepEqual([error.status, error.response.code], [400, 1404]);

  const { id } = await exh.tasks.create({ functionName: name });
  await ended(id, 'complete');
});

test('tasks are served with and without a slash and to those alone who may', async () => {
  const { accessToken: token } = await exh.auth.authenticate({ username: process.env.EMAIL, password: process.env.PASSWORD });
  for (const path of ['/tasks/v1', '/tasks/v1/', '/tasks/v1/schedules', '/tasks/v1/schedules/']) {
    assert.equal((await http('GET', path, { token })).status, 200, path);
  }
  const stranger = await nobody();
  for (const act of [
    () => stranger.tasks.find(),
    () => stranger.tasks.create({ functionName: 'any' }),
    () => stranger.tasks.cancel(UNKNOWN),
    () => stranger.tasks.logs.find(UNKNOWN),
    () => stranger.tasks.schedules.find(),
    () => stranger.tasks.schedules.create({ functionName: 'any', interval: 60 }),
    () => stranger.tasks.schedules.remove(UNKNOWN),
  ]) {
    await refused(act(), 'NoPermissionError');
  }
  await refused(anonymous().tasks.find(), 'UserNotAuthenticatedError');
});
