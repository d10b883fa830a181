// What was called and what came of it, and what was written meanwhile (contract sections 6 and 8; checks 26 and 27).
const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { rqlBuilder } = require('@extrahorizon/javascript-sdk');
const { administrator, anonymous, eventually, functionOf, http, made, mode, refused, unique } = require('./support');

const SPEAKER = `exports.handler = async ({ rawPath }) => {
  if (rawPath === '/throw') throw new RangeError('qty too big');
  if (rawPath === '/wrong') return { statusCode: 500 };
  if (rawPath === '/missing') return { statusCode: 404, body: 'mine' };
  if (rawPath === '/slow') await new Promise(resolve => setTimeout(resolve, 120));
  if (rawPath === '/said') {
    console.log('starting %d', 1);
    console.info('information');
    console.warn('a warning');
    console.error('an error');
    console.debug('a detail');
    console.log('two\\nlines');
    await new Promise(resolve => setTimeout(resolve, 50));
    console.log({ nested: { object: [1] } });
  }
  return { statusCode: 201 };
}`;

let exh;
let me;
let name;
let all;

const ofThis = () => rqlBuilder().eq('functionName', name);
const find = rql => exh.tasks.apiRequests.find({ rql: rql.build() });
const pathsOf = async (rql, field = 'path') => (await find(rql)).data.map(each => each[field]);
const byPath = path => all.find(each => each.path === path);

// Eight calls, the records of which every case below reads: five of the administrator, two refused, one of nobody.
before(async context => {
  exh = await administrator();
  me = await exh.users.me();
  name = await functionOf(context, exh, SPEAKER, mode('public'));
  await exh.tasks.api.get(name, '/said');
  await exh.tasks.api.post(name, '/orders/7?full=1', { qty: 2 });
  await exh.tasks.api.put(name, '/slow', 'text');
  await refused(exh.tasks.api.get(name, '/missing'), 'ApiError');
  await refused(exh.tasks.api.delete(name, '/throw'), 'LambdaRuntimeError');
  await refused(exh.tasks.api.get(name, '/wrong'), 'InvalidApiFunctionResultError');
  await http('GET', `/tasks/v1/api/${name}/nobody`);
  await exh.tasks.functions.disable(name);
  await refused(exh.tasks.api.get(name, '/disabled'), 'IllegalStateError');
  all = await eventually(async () => {
    const { data } = await exh.tasks.apiRequests.find({ rql: ofThis().sort('timestamp').build() });
    assert.equal(data.length, 8);
    return data;
  });
});

test('a record has every published field and those of nobody are absent', () => {
  const { id, timestamp, duration, applicationId, ...rest } = byPath('/orders/7?full=1');
  assert.match(id, /^[0-9a-f]{24}$/);
  assert.match(applicationId, /^[0-9a-f]{24}$/);
  assert.ok(timestamp instanceof Date && Math.abs(Date.now() - timestamp) < 60000);
  assert.ok(duration > 0 && duration < 5);
  assert.deepEqual(rest, { functionName: name, method: 'POST', path: '/orders/7?full=1', userId: me.id, statusCode: 201 });
  assert.ok(byPath('/slow').duration >= 0.12 && byPath('/slow').duration < 5);

  assert.deepEqual(Object.keys(byPath('/nobody')).sort(), [
    'duration', 'functionName', 'id', 'method', 'path', 'statusCode', 'timestamp',
  ]);
});

test("a record says what failed, and a function's own 404 is no failure", () => {
  const failed = Object.fromEntries(all.filter(({ error }) => error).map(({ path, statusCode, error }) => [path, { statusCode, ...error }]));

  assert.deepEqual(failed['/throw'], { statusCode: 400, type: 'runtime', name: 'RangeError', message: 'qty too big' });
  assert.deepEqual(failed['/wrong'], {
    statusCode: 400,
    type: 'response',
    name: 'INVALID_API_FUNCTION_RESULT',
    message: 'The status code is expected to be a number between 200 and 499. Returned value: 500',
  });
  assert.equal(failed['/disabled'].statusCode, 400);
  assert.deepEqual([failed['/disabled'].type, failed['/disabled'].name], ['invocation', 'ILLEGAL_STATE_EXCEPTION']);
  assert.deepEqual(Object.keys(failed).sort(), ['/disabled', '/throw', '/wrong']);
  assert.equal(byPath('/missing').statusCode, 404);
});

test('every operator finds what it says', async () => {
  const sorted = async rql => (await pathsOf(rql)).sort();
  const second = byPath('/orders/7?full=1').timestamp.toISOString();
  const [calls, none] = [all.map(({ path }) => path).sort(), []];
  const but = (...paths) => calls.filter(path => !paths.includes(path));

  for (const [rql, paths] of [
    [ofThis().eq('path', '/orders/7?full=1'), ['/orders/7?full=1']],
    [ofThis().eq('method', 'DELETE'), ['/throw']],
    [ofThis().eq('id', byPath('/slow').id), ['/slow']],
    [ofThis().eq('userId', me.id), but('/nobody')],
    [ofThis().eq('statusCode', '404'), ['/missing']],
    [ofThis().ne('statusCode', '400'), but('/throw', '/wrong', '/disabled')],
    [ofThis().gt('statusCode', '400'), ['/missing']],
    [ofThis().ge('statusCode', '400'), ['/missing', '/throw', '/wrong', '/disabled'].sort()],
    [ofThis().lt('statusCode', '400'), but('/missing', '/throw', '/wrong', '/disabled')],
    [ofThis().le('statusCode', '201'), but('/missing', '/throw', '/wrong', '/disabled')],
    [ofThis().ge('duration', '0.12').lt('duration', '5').eq('path', '/slow'), ['/slow']],
    [ofThis().ge('timestamp', second), but('/said')],
    [ofThis().lt('timestamp', second), ['/said']],
    [ofThis().in('method', ['PUT', 'DELETE']), ['/slow', '/throw']],
    [ofThis().in('path', ['/slow', '/none']), ['/slow']],
    [ofThis().out('method', ['GET', 'PUT']), ['/orders/7?full=1', '/throw']],
    [ofThis().like('path', 'ders/7?f'), ['/orders/7?full=1']],
    [ofThis().like('error.message', 'too big'), ['/throw']],
    [ofThis().and(rqlBuilder().eq('method', 'GET').intermediate(), rqlBuilder().eq('statusCode', '404').intermediate()), ['/missing']],
    [ofThis().or(rqlBuilder().eq('method', 'PUT').intermediate(), rqlBuilder().eq('statusCode', '404').intermediate()), ['/missing', '/slow']],
    [ofThis().contains('error'), ['/disabled', '/throw', '/wrong']],
    [ofThis().excludes('error'), but('/disabled', '/throw', '/wrong')],
    [ofThis().excludes('userId'), ['/nobody']],
    [ofThis().eq('error.type', 'runtime'), ['/throw']],
    [ofThis().eq('error.name', 'RangeError'), ['/throw']],
    [ofThis().eq('error.name', 'ILLEGAL_STATE_EXCEPTION'), ['/disabled']],
    [ofThis().ne('error.type', 'runtime'), but('/throw')],
    [ofThis().eq('path', 'nowhere'), none],
    [rqlBuilder().eq('functionName', unique('none')), none],
  ]) {
    assert.deepEqual(await sorted(rql), paths, rql.build());
  }
});

test('values with spaces and signs of every kind come through', async context => {
  const odd = unique('odd');
  await functionOf(context, exh, 'exports.handler = async () => ({ statusCode: 200 })', { name: odd, ...mode('public') });
  const sent = "/a b(c),'d'/%C3%A9&f|g*h~i!j.k-l_m?q=%26&r=a+b";
  await exh.tasks.api.get(odd, sent);
  const { path } = await eventually(async () => {
    const { data } = await find(rqlBuilder().eq('functionName', odd));
    assert.equal(data.length, 1);
    return data[0];
  });

  for (const rql of [rqlBuilder().eq('path', path), rqlBuilder().in('path', [path, 'x']), rqlBuilder().like('path', path.slice(3, 20))]) {
    assert.deepEqual(await pathsOf(rql.eq('functionName', odd)), [path], rql.build());
  }
});

test('an order is kept in both directions and by several fields', async () => {
  const paths = all.map(({ path }) => path);
  assert.deepEqual(await pathsOf(ofThis().sort('timestamp')), paths);
  assert.deepEqual(await pathsOf(ofThis().sort('-timestamp')), [...paths].reverse());
  assert.deepEqual(await pathsOf(ofThis()), [...paths].reverse());
  const both = await find(ofThis().sort(['-statusCode', 'path']));
  assert.deepEqual(both.data.map(each => [each.statusCode, each.path]), [
    [404, '/missing'], [400, '/disabled'], [400, '/throw'], [400, '/wrong'],
    [201, '/nobody'], [201, '/orders/7?full=1'], [201, '/said'], [201, '/slow'],
  ]);
  const token = (await exh.auth.authenticate({ username: process.env.EMAIL, password: process.env.PASSWORD })).accessToken;
  const plus = await (await http('GET', `/tasks/v1/apiRequests?eq(functionName,${name})&sort(+timestamp)`, { token })).json();
  assert.deepEqual(plus.data.map(({ path }) => path), paths);
});

test('pages have a limit, an offset and a total', async () => {
  const paths = all.map(({ path }) => path);
  const { page, data } = await find(ofThis().sort('timestamp').limit(2, 1));
  assert.deepEqual(page, { total: 8, offset: 1, limit: 2 });
  assert.deepEqual(data.map(({ path }) => path), paths.slice(1, 3));

  assert.deepEqual((await find(ofThis())).page, { total: 8, offset: 0, limit: 20 });
  assert.deepEqual((await find(ofThis().limit(1000))).page, { total: 8, offset: 0, limit: 50 });
  assert.deepEqual(await find(ofThis().limit(5, 100)).then(({ page: far, data: rows }) => [far.total, rows]), [8, []]);
  assert.deepEqual((await find(ofThis().skipCount())).page, { offset: 0, limit: 20 });
});

test('only the selected fields are shown', async () => {
  const { data } = await find(ofThis().eq('path', '/throw').select(['id', 'path', 'error.type']));

  assert.deepEqual(data, [{ id: byPath('/throw').id, path: '/throw', error: { type: 'runtime' } }]);
});

test('the SDK walks through pages and finds one record', async () => {
  const paths = all.map(({ path }) => path);
  const first = await exh.tasks.apiRequests.find({ rql: ofThis().sort('timestamp').limit(3).build() });
  const second = await first.next();
  assert.deepEqual(second.data.map(({ path }) => path), paths.slice(3, 6));
  const third = await second.next();
  assert.deepEqual(third.data.map(({ path }) => path), paths.slice(6));
  assert.deepEqual((await third.previous()).data.map(({ path }) => path), paths.slice(3, 6));
  assert.deepEqual((await (await third.next()).next()).data, []);
  assert.equal((await exh.tasks.apiRequests.findFirst({ rql: ofThis().eq('method', 'PUT').build() })).path, '/slow');
  const missing = ofThis().eq('id', 'f'.repeat(24)).build();
  assert.equal(await exh.tasks.apiRequests.findFirst({ rql: missing }), undefined);
});

test('findAll gathers more than one page holds', async context => {
  const busy = await functionOf(context, exh, 'exports.handler = async () => ({ statusCode: 200 })');
  const paths = Array.from({ length: 55 }, (_, number) => `/${number}`);
  for (let done = 0; done < paths.length; done += 11) {
    await Promise.all(paths.slice(done, done + 11).map(path => exh.tasks.api.get(busy, path)));
  }
  const rql = rqlBuilder().eq('functionName', busy).build();

  // A record that is stored between two pages shifts the second: what counts is what all of them give.
  await eventually(async () => {
    const gathered = await exh.tasks.apiRequests.findAll({ rql });
    assert.equal(gathered.length, 55);
    assert.deepEqual(new Set(gathered.map(({ path }) => path)), new Set(paths));
  });
  const walked = [];
  for await (const page of exh.tasks.apiRequests.findAllIterator({ rql })) walked.push(...page.data);
  assert.equal(walked.length, 55);
});

test('broken RQL is refused and said to be', async () => {
  for (const rql of [
    '?eq(name', '?eq(functionName)', '?eq()', '?unheardOf(a,b)', '?limit(x)', '?limit(-1)', '?limit()', '?limit(1,2,3)',
    '?functionName', '?eq(functionName,a)&', '?a=1|b=2&c=3', '?select(a', '?)',
    '?eq(nothingOfThatName,1)', '?sort(nothingOfThatName)', `?${'('.repeat(500)}`, `?eq(functionName,${'a'.repeat(20000)})`,
  ]) {
    const error = await refused(exh.tasks.apiRequests.find({ rql }), 'InvalidRqlError');
    assert.deepEqual([error.status, error.response.code], [400, 19], rql);
  }
});

test('the forms of the older query language are read too', async () => {
  const token = (await exh.auth.authenticate({ username: process.env.EMAIL, password: process.env.PASSWORD })).accessToken;
  const asked = async query => {
    const answer = await http('GET', `/tasks/v1/apiRequests?functionName=${name}&${query}`, { token });
    return (await answer.json()).data.map(({ path }) => path).sort();
  };
  assert.deepEqual(await asked('statusCode=404'), ['/missing']);
  assert.deepEqual(await asked('statusCode>400'), ['/missing']);
  assert.deepEqual(await asked('statusCode>=404&method!=PUT'), ['/missing']);
  assert.deepEqual(await asked('statusCode=ge=404'), ['/missing']);
  assert.deepEqual(await asked('(method=PUT|method=DELETE)'), ['/slow', '/throw']);
  assert.deepEqual(await asked('skip_count()&method=string:PUT'), ['/slow']);
});

test('log lines have the form of the real ones and share the id of their run', async () => {
  const lines = await eventually(async () => {
    const found = await exh.tasks.apiRequests.logs.find(byPath('/said').id);
    assert.equal(found.length, 7);
    return found;
  });
  const read = lines.map(({ message }) => message.match(/^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\t([0-9a-f-]{36})\t(\w+)\t(.*)\n$/s));

  assert.ok(read.every(Boolean), JSON.stringify(lines));
  assert.deepEqual(read.map(([, , , level, text]) => [level, text.replace(/\s+/g, ' ')]), [
    ['INFO', 'starting 1'], ['INFO', 'information'], ['WARN', 'a warning'], ['ERROR', 'an error'], ['DEBUG', 'a detail'],
    ['INFO', 'two lines'], ['INFO', '{ nested: { object: [ 1 ] } }'],
  ]);
  assert.equal(new Set(read.map(([, , id]) => id)).size, 1);
  lines.forEach(({ timestamp }, index) => {
    assert.ok(timestamp instanceof Date);
    assert.equal(timestamp.toISOString(), read[index][1]);
  });
  assert.deepEqual(Object.keys(lines[0]).sort(), ['message', 'timestamp']);
});

test('log lines can be asked for from a moment on and in no other way', async () => {
  const { id } = byPath('/said');
  const since = moment => exh.tasks.apiRequests.logs.find(id, { rql: rqlBuilder().ge('timestamp', moment.toISOString()).build() });
  const lines = await eventually(async () => {
    const found = await exh.tasks.apiRequests.logs.find(id);
    assert.equal(found.length, 7);
    return found;
  });
  const last = lines.at(-1).timestamp;

  assert.equal((await since(new Date(Date.now() - 3600000))).length, 7);
  assert.deepEqual(await since(last), lines.slice(-1));
  const late = await refused(since(new Date(Date.now() + 60000)), 'NoApiRequestLogsFoundError');
  assert.deepEqual([late.status, late.response.code], [400, 1413]);
  for (const rql of [
    rqlBuilder().lt('timestamp', last.toISOString()).build(), rqlBuilder().gt('timestamp', last.toISOString()).build(),
    rqlBuilder().ge('message', 'a').build(), rqlBuilder().limit(5).build(), rqlBuilder().sort('timestamp').build(),
    '?ge(timestamp,yesterday)', '?ge(timestamp',
  ]) {
    const error = await refused(exh.tasks.apiRequests.logs.find(id, { rql }), 'InvalidRqlError');
    assert.deepEqual([error.status, error.response.code], [400, 19], rql);
  }
});

test('a page of log lines has no total, and the older form of the filter is read', async () => {
  const token = (await exh.auth.authenticate({ username: process.env.EMAIL, password: process.env.PASSWORD })).accessToken;
  const asked = async query => (await http('GET', `/tasks/v1/apiRequests/${byPath('/said').id}/logs${query}`, { token })).json();

  const { page, data } = await eventually(() => asked('?timestamp>=2020-01-01T00:00:00.000Z'));
  assert.deepEqual(Object.keys(page).sort(), ['limit', 'offset']);
  assert.equal(data.length, 7);
});

test('logs of an unknown or malformed id and of a silent call are told apart', async () => {
  const logs = id => exh.tasks.apiRequests.logs.find(id);

  const unknown = await refused(logs('f'.repeat(24)), 'ResourceUnknownError');
  assert.deepEqual([unknown.status, unknown.response.code], [404, 16]);
  assert.equal((await refused(logs('none'), 'IDFormatError')).response.code, 12);
  assert.equal((await refused(logs(byPath('/slow').id), 'NoApiRequestLogsFoundError')).response.code, 1413);
  await refused(anonymous().tasks.apiRequests.logs.find(byPath('/said').id), 'UserNotAuthenticatedError');
});

test('records and lines outlive their function', async () => {
  const { name: gone } = await exh.tasks.functions.create(made(
    "exports.handler = async () => { console.log('kept'); return { statusCode: 200 } }",
  ));
  await exh.tasks.api.get(gone, '/');
  await exh.tasks.functions.remove(gone);

  const { id } = await eventually(async () => {
    const { data } = await find(rqlBuilder().eq('functionName', gone));
    assert.equal(data.length, 1);
    return data[0];
  });
  const lines = await eventually(() => exh.tasks.apiRequests.logs.find(id));
  assert.match(lines[0].message, /\tINFO\tkept\n$/);
});
