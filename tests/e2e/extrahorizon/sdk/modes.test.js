// Who may call an API function (contract section 7; check 35). The member may call "sdk-permitted" and nothing else.
const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { administrator, anonymous, eventually, functionOf, http, member, mode, nobody, refused } = require('./support');
const { rqlBuilder } = require('@extrahorizon/javascript-sdk');

const HELLO = "exports.handler = async () => ({ statusCode: 200, body: 'hello' })";

let exh;
before(async () => {
  exh = await administrator();
});

test('a public function is called by anybody', async context => {
  const name = await functionOf(context, exh, HELLO, mode('public'));

  assert.equal(await (await http('GET', `/tasks/v1/api/${name}/`)).text(), 'hello');
  assert.equal(await (await nobody()).tasks.api.get(name, '/'), 'hello');
  const bad = await http('GET', `/tasks/v1/api/${name}/`, { token: 'f'.repeat(40) });
  assert.deepEqual([bad.status, (await bad.json()).code], [401, 117]);
});

test('a function for all users is called by whoever is logged in', async context => {
  const name = await functionOf(context, exh, HELLO, mode('allUsers'));

  assert.equal(await (await nobody()).tasks.api.get(name, '/'), 'hello');
  await refused(anonymous().tasks.api.get(name, '/'), 'UserNotAuthenticatedError');
});

test('any other function wants the permission and says which one', async context => {
  for (const fields of [mode('permissionRequired'), {}]) {
    const name = await functionOf(context, exh, HELLO, fields);

    await refused(anonymous().tasks.api.get(name, '/'), 'UserNotAuthenticatedError');
    const error = await refused((await nobody()).tasks.api.get(name, '/'), 'NoPermissionError');
    assert.deepEqual([error.status, error.response.code], [401, 10]);
    assert.match(error.message, /EXECUTE_API_FUNCTION/);
    assert.equal(await exh.tasks.api.get(name, '/'), 'hello');
  }
});

test('the permission for one function opens that function only', async context => {
  const permitted = await functionOf(context, exh, HELLO, { name: 'sdk-permitted' });
  const other = await functionOf(context, exh, HELLO, { name: 'sdk-permitted-2' });
  const named = await member(process.env.PERMITTED_EMAIL);

  assert.equal(await named.tasks.api.get(permitted, '/'), 'hello');
  await refused(named.tasks.api.get(other, '/'), 'NoPermissionError');
});

test('a mode that is changed counts from the next call on', async context => {
  const name = await functionOf(context, exh, HELLO, mode('public'));
  assert.equal((await http('GET', `/tasks/v1/api/${name}/`)).status, 200);

  await exh.tasks.functions.update(name, mode('permissionRequired'));

  assert.equal((await http('GET', `/tasks/v1/api/${name}/`)).status, 401);
});

test('a refused call of a function that exists is recorded and one of an unknown function is not', async context => {
  const name = await functionOf(context, exh, HELLO);
  const plain = await nobody();
  await refused(anonymous().tasks.api.get(name, '/a'), 'UserNotAuthenticatedError');
  await refused(plain.tasks.api.get(name, '/b?c=d'), 'NoPermissionError');
  await refused(exh.tasks.api.get(`${name}-none`, '/'), 'ResourceUnknownError');

  const ofThis = rqlBuilder().eq('functionName', name).sort('timestamp').build();
  const [first, second] = await eventually(async () => {
    const { data } = await exh.tasks.apiRequests.find({ rql: ofThis });
    assert.equal(data.length, 2);
    return data;
  });
  const shown = ({ path, statusCode, userId, error: { type, name: of } }) => [path, statusCode, userId, type, of];
  const { id } = await plain.users.me();
  assert.deepEqual(shown(first), ['/a', 401, undefined, 'invocation', 'USER_NOT_AUTHENTICATED_EXCEPTION']);
  assert.deepEqual(shown(second), ['/b?c=d', 401, id, 'invocation', 'NO_PERMISSION_EXCEPTION']);
  const { page } = await exh.tasks.apiRequests.find({ rql: rqlBuilder().eq('functionName', `${name}-none`).build() });
  assert.equal(page.total, 0);
});
