// Logging in and calling by OAuth 1.0 (contract section 2.3; check 5).
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { createOAuth1Client, rqlBuilder } = require('@extrahorizon/javascript-sdk');
const { functionOf, host, password, refused, username } = require('./support');

const { CONSUMER_KEY: consumerKey, CONSUMER_SECRET: consumerSecret } = process.env;
const client = (given = {}) => createOAuth1Client({ host, consumerKey, consumerSecret, ...given });

async function loggedIn() {
  const exh = client();
  const { token, tokenSecret } = await exh.auth.authenticate({ email: username, password });
  return { exh, token, tokenSecret };
}

test('logging in gives a token that signs', async () => {
  const exh = client();

  const made = await exh.auth.authenticate({ email: username, password });

  assert.match(made.token, /^[0-9a-f]{40}$/);
  assert.match(made.tokenSecret, /^[0-9a-f]{40}$/);
  for (const id of [made.id, made.userId, made.applicationId]) assert.match(id, /^[0-9a-f]{24}$/);
  for (const moment of ['lastUsedTimestamp', 'creationTimestamp', 'updateTimestamp']) assert.ok(made[moment] instanceof Date);
  assert.equal((await exh.users.me()).id, made.userId);
});

test('a token from before signs for another client', async () => {
  const { token, tokenSecret } = await loggedIn();
  const exh = client();

  const { userId } = await exh.auth.authenticate({ token, tokenSecret });

  assert.equal((await exh.users.me()).id, userId);
  assert.equal((await client({ token, tokenSecret }).users.me()).id, userId);
});

test('a listing is signed whatever stands in its query', async () => {
  const { exh } = await loggedIn();
  const awkward = ['my fn', 'a[0]', '[x]', 'a&b=c', 'a=b', '100%', 'a+b', "it's (so)!*", 'é€😀', 'a/b?c#d', '{"a":[1]}', ''];

  for (const value of awkward) {
    for (const rql of [
      rqlBuilder().eq('functionName', value).sort('-timestamp').limit(2, 1).build(),
      rqlBuilder().in('functionName', [value, 'b']).like('path', value).sort('+timestamp').select(['id']).build(),
    ]) {
      assert.deepEqual((await exh.tasks.apiRequests.find({ rql })).data, [], rql);
    }
  }
  for (const rql of ['?sort(+timestamp)', '?sort(-timestamp)&limit(1)', '?functionName=none', '?timestamp>=2024-01-01']) {
    assert.ok(Array.isArray((await exh.tasks.apiRequests.find({ rql })).data), rql);
  }
});

test('every method of an API function is signed', async context => {
  const { exh } = await loggedIn();
  const { id } = await exh.users.me();
  const name = await functionOf(context, exh, `exports.handler = async event => ({
    statusCode: 200,
    body: { method: event.requestContext.http.method, user: event.headers['x-exh-requesting-user-id'], path: event.rawPath },
  });`);

  for (const path of ['/', '/a b/c', "/it's;a|b", '/a%2Fb?x=1&y=a b&y=c&z', '/?a=&b']) {
    assert.equal((await exh.tasks.api.get(name, path)).user, id, path);
  }
  for (const method of ['post', 'put', 'patch']) {
    const seen = await exh.tasks.api[method](name, '/x?y=1', { some: ['body'] });
    assert.deepEqual([seen.method, seen.user], [method.toUpperCase(), id]);
  }
  assert.equal((await exh.tasks.api.delete(name, '/')).method, 'DELETE');
});

test('many signed requests at once are all taken', async () => {
  const { exh } = await loggedIn();

  const found = await Promise.all(Array.from({ length: 20 }, () => exh.users.me()));

  assert.equal(new Set(found.map(({ id }) => id)).size, 1);
});

test('what is wrong with a login is told', async () => {
  const login = { email: username, password };

  await refused(client().auth.authenticate({ ...login, password: 'wrong' }), 'AuthenticationError');
  await refused(client({ consumerKey: 'none' }).auth.authenticate(login), 'OauthKeyError');
  await refused(client({ consumerSecret: 'wrong' }).auth.authenticate(login), 'OauthSignatureError');
  const unsigned = await fetch(`${host}/auth/v2/oauth1/tokens`, { method: 'POST', body: JSON.stringify(login) });
  assert.deepEqual([unsigned.status, (await unsigned.json()).code], [401, 101]);
});

test('what is wrong with a signed request is told', async () => {
  const { token, tokenSecret } = await loggedIn();

  await refused(client().users.me(), 'UserNotAuthenticatedError');
  await refused(client({ token: 'none', tokenSecret }).users.me(), 'OauthTokenError');
  await refused(client({ token, tokenSecret: 'wrong' }).users.me(), 'OauthSignatureError');
  await refused(client({ consumerKey: 'none', token, tokenSecret }).users.me(), 'OauthKeyError');
});

test('a copy of a signed request is refused', async () => {
  const { exh } = await loggedIn();
  const sent = [];
  const spied = client({ ...(await loggedIn()), requestLogger: config => sent.push(config) });
  await spied.users.me();
  const { Authorization } = sent.at(-1).headers;

  const copy = await fetch(`${host}/users/v1/me`, { headers: { Authorization } });

  assert.deepEqual([copy.status, (await copy.json()).code], [401, 110]);
  assert.ok((await exh.users.me()).id);
});
