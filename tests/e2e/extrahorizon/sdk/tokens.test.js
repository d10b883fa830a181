// Logging in by OAuth2, refreshing, and what is refused (contract section 2.2; checks 1 to 4).
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { createOAuth2Client } = require('@extrahorizon/javascript-sdk');
const { administrator, anonymous, clientId, host, http, password, refused, username } = require('./support');

test('logging in gives both tokens, their lifetime and who they are for', async () => {
  const tokens = await anonymous().auth.authenticate({ username, password });

  assert.match(tokens.accessToken, /^[0-9a-f]{40}$/);
  assert.match(tokens.refreshToken, /^[0-9a-f]{40}$/);
  assert.ok(tokens.expiresIn > 10);
  assert.match(tokens.userId, /^[0-9a-f]{24}$/);
  assert.match(tokens.applicationId, /^[0-9a-f]{24}$/);
  assert.equal(tokens.tokenType.toLowerCase(), 'bearer');
});

test('a token answer is not to be cached and has no keys but the published', async () => {
  const answer = await http('POST', '/auth/v2/oauth2/tokens', {
    body: JSON.stringify({ client_id: clientId, grant_type: 'password', username, password }),
    headers: { 'Content-Type': 'application/json' },
  });

  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  assert.equal(answer.headers.get('pragma'), 'no-cache');
  assert.deepEqual(Object.keys(await answer.json()).sort(), [
    'access_token', 'application_id', 'expires_in', 'refresh_token', 'token_type', 'user_id',
  ]);
});

test('a wrong password and an unknown user are refused alike', async () => {
  for (const given of [{ username, password: 'wrong' }, { username: 'nobody@example.org', password }]) {
    const error = await refused(anonymous().auth.authenticate(given), 'InvalidGrantError');

    assert.equal(error.status, 400);
    assert.equal(error.exhError.constructor.name, 'AuthenticationError');
    assert.deepEqual([error.response.error, error.response.exh_error.code], ['invalid_grant', 106]);
    assert.equal('code' in error.response, false);
  }
});

test('an unknown client is refused', async () => {
  const stranger = createOAuth2Client({ host, clientId: 'none' });

  const error = await refused(stranger.auth.authenticate({ username, password }), 'InvalidClientError');

  assert.equal(error.status, 401);
  assert.equal(error.exhError.constructor.name, 'OAuth2ClientIdError');
});

test('a bad token request says what is wrong with it', async () => {
  const asked = async body => {
    const answer = await http('POST', '/auth/v2/oauth2/tokens', { body, headers: { 'Content-Type': 'application/json' } });
    const { error, code, exh_error: inner } = await answer.json();
    return [answer.status, error, code, inner.code];
  };
  const given = rest => JSON.stringify({ client_id: clientId, ...rest });

  assert.deepEqual(await asked(''), [400, 'invalid_request', undefined, 13]);
  assert.deepEqual(await asked('{'), [400, 'invalid_request', undefined, 22]);
  assert.deepEqual(await asked(given({ grant_type: 'password', username })), [400, 'invalid_request', undefined, 14]);
  assert.deepEqual(await asked(given({ grant_type: 'none' })), [400, 'unsupported_grant_type', undefined, 121]);
  assert.deepEqual(await asked('{"grant_type":"password"}'), [401, 'invalid_client', undefined, 126]);
});

test('a refresh gives two new tokens and uses the old one up', async () => {
  const exh = anonymous();
  const first = await exh.auth.authenticate({ username, password });

  const second = await exh.auth.authenticate({ refreshToken: first.refreshToken });

  assert.notEqual(second.accessToken, first.accessToken);
  assert.notEqual(second.refreshToken, first.refreshToken);
  assert.equal((await exh.users.me()).id, first.userId);
  const error = await refused(exh.auth.authenticate({ refreshToken: first.refreshToken }), 'InvalidGrantError');
  assert.equal(error.exhError.constructor.name, 'RefreshTokenUnknownError');
});

test('a client with a bad access token and a good refresh token recovers by itself', async () => {
  const { refreshToken, userId } = await anonymous().auth.authenticate({ username, password });
  const renewed = [];
  const stale = createOAuth2Client({
    host, clientId, accessToken: '0'.repeat(40), refreshToken, freshTokensCallback: tokens => renewed.push(tokens),
  });

  assert.equal((await stale.users.me()).id, userId);
  assert.equal((await stale.tasks.functions.find()).page.offset, 0);
  assert.equal(renewed.length, 1);
});

test('many requests at once with a bad access token all recover', async () => {
  const { refreshToken, userId } = await anonymous().auth.authenticate({ username, password });
  const stale = createOAuth2Client({ host, clientId, accessToken: '0'.repeat(40), refreshToken });
  assert.equal((await stale.users.me()).id, userId);

  const found = await Promise.all(Array.from({ length: 5 }, () => stale.users.me()));

  assert.deepEqual(new Set(found.map(user => user.id)), new Set([userId]));
});

test('without a token nobody is logged in', async () => {
  for (const ask of [exh => exh.users.me(), exh => exh.tasks.functions.find(), exh => exh.tasks.apiRequests.find()]) {
    const error = await refused(ask(anonymous()), 'UserNotAuthenticatedError');
    assert.equal(error.qName ?? error.name, 'USER_NOT_AUTHENTICATED_EXCEPTION');
  }
  const answer = await http('GET', '/users/v1/me');
  assert.deepEqual([answer.status, (await answer.json()).code], [401, 104]);
});

test('an unknown bearer token is told as one', async () => {
  for (const path of ['/users/v1/me', '/tasks/v1/functions/', '/tasks/v1/apiRequests', '/tasks/v1/api/any/']) {
    const answer = await http('GET', path, { token: '0'.repeat(40) });
    const { code, name } = await answer.json();
    assert.deepEqual([answer.status, code, name], [401, 117, 'ACCESS_TOKEN_UNKNOWN_EXCEPTION'], path);
  }
});

test('who is logged in sees themselves with their roles', async () => {
  const me = await (await administrator()).users.me();

  assert.equal(me.email, username);
  assert.match(me.id, /^[0-9a-f]{24}$/);
  assert.ok(me.creationTimestamp instanceof Date && Math.abs(Date.now() - me.creationTimestamp) < 24 * 3600 * 1000);
  assert.ok(me.roles.length > 0);
  assert.ok(me.roles[0].permissions.every(({ name }) => /^[A-Z_:a-z0-9-]+$/.test(name)));
});
