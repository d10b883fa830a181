// What the Extra Horizon CLI does, call by call, through the SDK it is made of (contract section 2.4; check 6).
const assert = require('node:assert/strict');
const zlib = require('node:zlib');
const { test } = require('node:test');
const { createOAuth1Client, rqlBuilder } = require('@extrahorizon/javascript-sdk');
const { eventually, host, password, refused, unique, username } = require('./support');

const { CONSUMER_KEY: consumerKey, CONSUMER_SECRET: consumerSecret } = process.env;
const client = () => createOAuth1Client({ host, consumerKey, consumerSecret });
const named = name => rqlBuilder().eq('name', name).build();

// `exh login`: only the token and its secret are written down.
async function login() {
  const { token, tokenSecret } = await client().auth.authenticate({ email: username, password });
  return { token, tokenSecret };
}

// What every other command does first, with what was written down.
async function command(credentials) {
  const exh = client();
  await exh.auth.authenticate(credentials);
  return exh;
}

// A zip as a stream makes it: sizes and sums behind the content, compressed as far as it goes.
function streamed(name, text) {
  const content = Buffer.from(text);
  const packed = zlib.deflateRawSync(content, { level: 9 });
  const path = Buffer.from(name);
  const head = Buffer.from('14000800080000002158', 'hex');
  const sums = Buffer.alloc(12);
  sums.writeUInt32LE(zlib.crc32(content), 0);
  sums.writeUInt32LE(packed.length, 4);
  sums.writeUInt32LE(content.length, 8);
  const length = Buffer.alloc(4);
  length.writeUInt16LE(path.length, 0);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), head, Buffer.alloc(12), length, path, packed, Buffer.from('PK\x07\x08'), sums]);
  const entry = Buffer.concat([Buffer.from('PK\x01\x02\x2d\x03', 'latin1'), head, sums, length, Buffer.alloc(14), path]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(entry.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, entry, end]).toString('base64');
}

const functions = async exh => (await exh.raw.get('/tasks/v1/functions')).data.data;

// `exh tasks sync` of one task: make the function, or change the one there is.
async function sync(exh, request) {
  if (!(await functions(exh)).some(({ name }) => name === request.name)) {
    await exh.raw.post('/tasks/v1/functions', request);
    return 'created';
  }
  const { runtime, ...rest } = request;
  const { data: before } = await exh.raw.get(`/tasks/v1/functions/${request.name}`);
  const changes = before.runtime === runtime ? rest : request;
  const { data: answer } = await exh.raw.put(`/tasks/v1/functions/${request.name}`, changes);
  assert.ok(answer.affectedRecords);
  return 'updated';
}

// `executionCredentials` of task-config.json: a role and a user of the task's own, and a token of theirs.
async function syncUser(exh, task, email, permissions) {
  const roleName = `exh.tasks.${task}`;
  const { globalRoles } = exh.users;
  let role = await globalRoles.findByName(roleName);
  const had = role?.permissions.map(({ name }) => name) ?? [];
  role ??= await globalRoles.create({ name: roleName, description: `A role created by the CLI for the execution of the task ${task}` });
  const wanted = permissions.filter(name => !had.includes(name));
  const unwanted = had.filter(name => !permissions.includes(name));
  if (wanted.length) await globalRoles.addPermissions(named(roleName), { permissions: wanted });
  if (unwanted.length) await globalRoles.removePermissions(named(roleName), { permissions: unwanted });

  const user = await exh.users.findFirst({ rql: rqlBuilder().eq('email', email).build() });
  if (user !== undefined) return undefined;
  const secret = `0Oo-${unique('secret')}`;
  const { id } = await exh.users.createAccount({
    activationMode: 'manual', firstName: task, lastName: 'exh.tasks', email, password: secret, phoneNumber: '0000000000', language: 'EN',
  });
  await globalRoles.addToUsers(rqlBuilder().eq('id', id).build(), { roles: [role.id] });
  return (await exh.raw.post('/auth/v2/oauth1/tokens', { email, password: secret })).data;
}

test('login, whoami, sync twice, list and delete', async () => {
  const credentials = await login();
  const name = unique('cli-task');
  const request = version => ({
    name,
    description: 'none',
    entryPoint: 'index.handler',
    code: streamed('index.js', `exports.handler = async () => ({ statusCode: 200, body: "version ${version}" });`),
    runtime: 'nodejs20.x',
    environmentVariables: { SOME_NAME: { value: 'some value' } },
  });

  assert.equal((await (await command(credentials)).users.me()).email, username);
  assert.equal(await sync(await command(credentials), request(1)), 'created');
  const exh = await command(credentials);
  assert.equal(await exh.tasks.api.get(name, '/'), 'version 1');
  assert.equal(await sync(await command(credentials), request(2)), 'updated');
  await eventually(async () => assert.equal(await exh.tasks.api.get(name, '/'), 'version 2'));

  const listed = (await functions(await command(credentials))).find(each => each.name === name);
  assert.equal(listed.description, 'none');
  assert.match(listed.updateTimestamp.toISOString(), /^20/);
  assert.deepEqual((await (await command(credentials)).raw.delete(`/tasks/v1/functions/${name}`)).data, { affectedRecords: 1 });
  assert.ok(!(await functions(exh)).some(each => each.name === name));
});

test('a task gets a user, a role and credentials of its own', async context => {
  const exh = await command(await login());
  const task = unique('cli-task');
  const email = `exh.tasks+${task}@example.com`;
  context.after(() => exh.users.globalRoles.remove(named(`exh.tasks.${task}`)));

  const { token, tokenSecret } = await syncUser(exh, task, email, ['VIEW_TASK_FUNCTIONS']);
  const own = await command({ token, tokenSecret });
  const me = await own.users.me();
  context.after(() => exh.users.remove(me.id));

  assert.equal(me.email, email);
  assert.ok(Array.isArray((await own.tasks.functions.find()).data));
  await refused(own.tasks.apiRequests.find(), 'NoPermissionError');

  assert.equal(await syncUser(exh, task, email, ['VIEW_API_FUNCTION_REQUESTS']), undefined);
  await refused(own.tasks.functions.find(), 'NoPermissionError');
  assert.ok(Array.isArray((await own.tasks.apiRequests.find()).data));
});

test('credentials that are not right are told to whoever logs in', async () => {
  await refused(client().auth.authenticate({ email: username, password: 'wrong' }), 'AuthenticationError');
  await refused(command({ token: 'a'.repeat(40), tokenSecret: 'b'.repeat(40) }), 'OauthTokenError');
});
