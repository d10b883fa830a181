// Tasks that are tried again, and schedules: what takes its time (contract sections 3.5 and 11; checks 31 and 33).
const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { rqlBuilder } = require('@extrahorizon/javascript-sdk');
const { administrator, eventually, functionOf, refused } = require('./support');

const FAILS = "exports.handler = async () => { throw new RangeError('again') }";
const PAUSES_S = [2, 5, 10];
const SLACK_S = 8;

let exh;
before(async () => {
  exh = await administrator();
});

async function tasksOf(name) {
  const rql = rqlBuilder().eq('functionName', name).sort('creationTimestamp').build();
  return (await exh.tasks.find({ rql })).data;
}

const retryPolicy = (...errorsToRetry) => ({ retryPolicy: { enabled: true, errorsToRetry } });

test('a failing task is tried three times more, after 2, 5 and 10 seconds', async context => {
  const name = await functionOf(context, exh, FAILS, retryPolicy('TypeError', 'RangeError'));
  await exh.tasks.create({ functionName: name, data: { who: 'Bo' }, tags: ['t'], priority: 4 });
  const tries = await eventually(async () => {
    const found = await tasksOf(name);
    assert.equal(found.length, 4);
    assert.equal(found[3].status, 'failed');
    return found;
  }, 40000);

  assert.deepEqual(tries.map(task => task.status), ['retried', 'retried', 'retried', 'failed']);
  assert.deepEqual(tries.map(task => task.retriedByTaskId), [...tries.slice(1).map(task => task.id), undefined]);
  const ids = tries.map(task => task.id);
  assert.deepEqual(tries.map(task => task.retryForTaskIds), [undefined, ids.slice(0, 1), ids.slice(0, 2), ids.slice(0, 3)]);
  for (const { data, tags, priority, error } of tries) {
    assert.deepEqual([data, tags, priority], [{ who: 'Bo' }, ['t'], 4]);
    assert.deepEqual(error, { type: 'runtime', name: 'RangeError', message: 'again' });
  }
  PAUSES_S.forEach((pause, index) => {
    const failed = tries[index].statusChangedTimestamp;
    assert.equal(tries[index + 1].startTimestamp - failed, pause * 1000);
    const ran = (tries[index + 1].statusChangedTimestamp - failed) / 1000;
    assert.ok(ran >= pause && ran < pause + SLACK_S, `${ran} s after`);
  });
});

test('another error, and a policy that is off, are no reason to try again', async context => {
  const other = await functionOf(context, exh, FAILS, retryPolicy('TypeError'));
  const off = await functionOf(context, exh, FAILS, { retryPolicy: { enabled: false, errorsToRetry: [] } });
  const direct = await functionOf(context, exh, FAILS, retryPolicy());
  await refused(exh.tasks.functions.execute(direct), 'LambdaRuntimeError');
  for (const name of [other, off]) await exh.tasks.create({ functionName: name });

  for (const name of [other, off, direct]) {
    await eventually(async () => assert.deepEqual((await tasksOf(name)).map(task => task.status), ['failed']));
  }
});

test('a schedule makes a task each interval until it is removed', async context => {
  const name = await functionOf(context, exh, 'exports.handler = async () => {}');
  const made = await exh.tasks.schedules.create({ functionName: name, interval: 2, data: { myKey: 'all' }, priority: 6 });

  assert.match(made.id, /^[0-9a-f]{24}$/);
  const { id, startTimestamp, nextTimestamp, creationTimestamp, updateTimestamp, ...rest } = made;
  assert.deepEqual(rest, { interval: 2, functionName: name, data: { myKey: 'all' }, priority: 6 });
  assert.deepEqual(startTimestamp, creationTimestamp);
  assert.deepEqual(nextTimestamp, startTimestamp);
  assert.deepEqual(updateTimestamp, creationTimestamp);
  const tasks = await eventually(async () => {
    const found = (await tasksOf(name)).filter(task => task.status === 'complete');
    assert.ok(found.length >= 2);
    return found;
  }, 15000);
  assert.deepEqual(tasks.map(task => [task.data, task.priority]), tasks.map(() => [{ myKey: 'all' }, 6]));
  const apart = tasks[1].startTimestamp - tasks[0].startTimestamp;
  assert.ok(apart > 0 && apart % 2000 === 0, `${apart} ms apart`);
  assert.deepEqual(tasks[0].startTimestamp, startTimestamp);

  const [shown] = (await exh.tasks.schedules.find({ rql: rqlBuilder().eq('id', id).build() })).data;
  assert.ok(shown.nextTimestamp > nextTimestamp);
  assert.deepEqual({ ...shown, nextTimestamp }, made);
  assert.deepEqual(await exh.tasks.schedules.remove(id), { affectedRecords: 1 });
  assert.deepEqual((await exh.tasks.schedules.find({ rql: rqlBuilder().eq('id', id).build() })).data, []);
  await refused(exh.tasks.schedules.remove(id), 'ResourceUnknownError');
  const before = (await tasksOf(name)).length;
  await new Promise(resolve => setTimeout(resolve, 2500));
  assert.equal((await tasksOf(name)).length, before);
});

test('a schedule that starts later has made nothing before', async context => {
  const name = await functionOf(context, exh, 'exports.handler = async () => {}');
  const startTimestamp = new Date(Date.now() + 3600 * 1000);
  const { id, nextTimestamp } = await exh.tasks.schedules.create({ functionName: name, interval: 60, startTimestamp });

  assert.deepEqual(nextTimestamp, startTimestamp);
  assert.deepEqual(await tasksOf(name), []);
  await exh.tasks.schedules.remove(id);
});

test('a wrong schedule is refused and its field named', async () => {
  const functionName = 'any';
  for (const [body, className, field] of [
    [{ functionName }, 'MissingRequiredFieldsError', 'interval'],
    [{ interval: 60 }, 'MissingRequiredFieldsError', 'functionName'],
    [{ functionName, interval: 0 }, 'FieldFormatError', 'interval'],
    [{ functionName, interval: 1.5 }, 'FieldFormatError', 'interval'],
    [{ functionName, interval: 60, data: 5 }, 'FieldFormatError', 'data'],
  ]) {
    const error = await refused(exh.tasks.schedules.create(body), className);
    assert.match(error.response.message, new RegExp(field));
  }
  await refused(exh.tasks.schedules.remove('nonsense'), 'IDFormatError');
});
