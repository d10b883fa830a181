// Users, roles and what they allow (contract sections 2.4 and 7).
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { rqlBuilder } = require('@extrahorizon/javascript-sdk');
const { administrator, anonymous, functionOf, member, memberPassword, nobody, refused, unique, username } = require('./support');

const OK = 'exports.handler = async () => ({ statusCode: 200, body: "fine" });';
const named = name => rqlBuilder().eq('name', name).build();
const withId = id => rqlBuilder().eq('id', id).build();

// Somebody new: registered, without any permission. Return a client of theirs and what they are.
async function newcomer(context, admin) {
  const email = `${unique('newcomer')}@example.com`;
  const user = await anonymous().users.createAccount({
    activationMode: 'manual', firstName: 'New', lastName: 'Comer', email, password: memberPassword, phoneNumber: '0000000000', language: 'EN',
  });
  context.after(() => admin.users.remove(user.id));
  return { exh: await member(email), user };
}

// A role with these permissions; it is gone when the case ends.
async function roleOf(context, admin, ...permissions) {
  const name = unique('role');
  const role = await admin.users.globalRoles.create({ name, description: 'for one case' });
  context.after(() => admin.users.globalRoles.remove(withId(role.id)));
  if (permissions.length) assert.deepEqual(await admin.users.globalRoles.addPermissions(named(name), { permissions }), { affectedRecords: 1 });
  return role;
}

test('somebody who registers is a user without any permission', async context => {
  const { exh, user } = await newcomer(context, await administrator());

  assert.match(user.id, /^[0-9a-f]{24}$/);
  assert.equal(user.activation, true);
  assert.deepEqual(user.roles, []);
  assert.ok(user.creationTimestamp instanceof Date && user.updateTimestamp instanceof Date);
  assert.deepEqual(await exh.users.me(), user);
  assert.deepEqual(await exh.users.findById(user.id), user);
  await refused(exh.users.find(), 'NoPermissionError');
  await refused(exh.tasks.functions.find(), 'NoPermissionError');
});

test('what is wrong with a registration has the class the SDK knows', async () => {
  const given = { firstName: 'A', lastName: 'B', email: username, password: memberPassword, phoneNumber: '0', language: 'EN' };

  await refused(anonymous().users.createAccount(given), 'EmailUsedError');
  await refused(anonymous().users.createAccount({ ...given, email: 'new@example.com', password: 'short' }), 'PasswordError');
  await refused(anonymous().users.createAccount({ ...given, email: undefined }), 'MissingRequiredFieldsError');
  await refused(anonymous().users.createAccount({ ...given, email: 'none' }), 'FieldFormatError');
});

test('users are found by email, by id and in pages', async context => {
  const admin = await administrator();
  const { user } = await newcomer(context, admin);

  assert.equal((await admin.users.findByEmail(user.email.toUpperCase())).id, user.id);
  assert.equal(await admin.users.findByEmail('nobody-here@example.com'), undefined);
  assert.equal((await admin.users.findFirst({ rql: withId(user.id) })).email, user.email);
  await refused(admin.users.findById('64f0c2a1b7e94d0012ab34cd'), 'ResourceUnknownError');
  await refused(admin.users.findById('nobody'), 'IDFormatError');

  const first = await admin.users.find({ rql: rqlBuilder().sort('-creation_timestamp').limit(1).build() });
  assert.equal(first.data.length, 1);
  assert.ok(first.page.total >= 2);
  const second = await first.next();
  assert.notEqual(second.data[0].id, first.data[0].id);
  assert.equal((await admin.users.findAll({ rql: rqlBuilder().eq('email', user.email).build() })).length, 1);
});

test('a user changes and removes themselves, and nobody else', async () => {
  const admin = await administrator();
  const { exh, user } = await newcomer({ after() {} }, admin);
  const { id: adminId } = await admin.users.me();

  const changed = await exh.users.update(user.id, { firstName: 'Other', timeZone: 'Europe/Brussels' });
  assert.deepEqual([changed.firstName, changed.lastName, changed.timeZone], ['Other', 'Comer', 'Europe/Brussels']);
  await refused(exh.users.update(adminId, { firstName: 'Mine' }), 'NoPermissionError');
  await refused(exh.users.remove(adminId), 'NoPermissionError');
  assert.deepEqual(await exh.users.remove(user.id), { affectedRecords: 1 });
  assert.equal(await admin.users.findByEmail(user.email), undefined);
});

test('a role is made, found, changed and removed', async context => {
  const admin = await administrator();
  const role = await roleOf(context, admin, 'VIEW_PATIENTS', 'EXECUTE_API_FUNCTION:some-name', 'anything at all');
  const { globalRoles } = admin.users;

  assert.ok(role.creationTimestamp instanceof Date);
  const found = await globalRoles.findByName(role.name);
  assert.deepEqual(found.permissions.map(({ name }) => name), ['EXECUTE_API_FUNCTION:some-name', 'VIEW_PATIENTS', 'anything at all']);
  assert.equal((await globalRoles.findById(role.id)).name, role.name);
  await refused(globalRoles.create({ name: role.name, description: '' }), 'ResourceAlreadyExistsError');

  const changed = await globalRoles.update(role.id, { description: 'changed' });
  assert.deepEqual([changed.name, changed.description], [role.name, 'changed']);
  assert.deepEqual(await globalRoles.removePermissions(named(role.name), { permissions: ['VIEW_PATIENTS'] }), { affectedRecords: 1 });
  assert.equal((await globalRoles.findByName(role.name)).permissions.length, 2);

  const other = await globalRoles.create({ name: unique('gone'), description: '' });
  assert.deepEqual(await globalRoles.remove(withId(other.id)), { affectedRecords: 1 });
  assert.equal(await globalRoles.findById(other.id), undefined);
  await refused(globalRoles.remove(withId(other.id)), 'ResourceUnknownError');
  await refused(globalRoles.addPermissions(named(unique('none')), { permissions: ['A'] }), 'ResourceUnknownError');
  assert.equal((await refused(globalRoles.remove(''), 'ApiError')).response.code, 20);
  await refused(globalRoles.remove('?eq(name'), 'InvalidRqlError');
});

test('a role counts at once when it is given and no more when it is taken, for the same token', async context => {
  const admin = await administrator();
  const { exh, user } = await newcomer(context, admin);
  const mine = await functionOf(context, admin, OK);
  const other = await functionOf(context, admin, OK);
  const role = await roleOf(context, admin, `EXECUTE_API_FUNCTION:${mine}`);
  await refused(exh.tasks.api.get(mine, '/'), 'NoPermissionError');

  assert.deepEqual(await admin.users.globalRoles.addToUsers(withId(user.id), { roles: [role.id] }), { affectedRecords: 1 });
  assert.equal(await exh.tasks.api.get(mine, '/'), 'fine');
  await refused(exh.tasks.api.get(other, '/'), 'NoPermissionError');
  assert.deepEqual((await exh.users.me()).roles.map(({ name }) => name), [role.name]);
  assert.equal((await admin.users.find({ rql: rqlBuilder().eq('roles.id', role.id).build() })).data[0].id, user.id);

  assert.deepEqual(await admin.users.globalRoles.removeFromUser(withId(user.id), { roles: [role.id] }), { affectedRecords: 1 });
  await refused(exh.tasks.api.get(mine, '/'), 'NoPermissionError');
});

test('nothing of roles is open to a user without permissions but the names there are', async () => {
  const exh = await nobody();
  const { globalRoles } = exh.users;
  const rql = named('admin');

  const { data } = await globalRoles.getPermissions();
  assert.ok(data.some(({ name }) => name === 'EXECUTE_API_FUNCTION'));
  for (const attempt of [
    () => globalRoles.find(),
    () => globalRoles.create({ name: unique('mine'), description: '' }),
    () => globalRoles.update('64f0c2a1b7e94d0012ab34cd', { name: 'mine' }),
    () => globalRoles.remove(rql),
    () => globalRoles.addPermissions(rql, { permissions: ['A'] }),
    () => globalRoles.removePermissions(rql, { permissions: ['A'] }),
    () => globalRoles.addToUsers(rql, { roles: ['64f0c2a1b7e94d0012ab34cd'] }),
    () => globalRoles.removeFromUser(rql, { roles: ['64f0c2a1b7e94d0012ab34cd'] }),
  ]) {
    await refused(attempt(), 'NoPermissionError');
  }
});

test('the services say that they are there', async () => {
  assert.equal(await anonymous().auth.health(), true);
});
