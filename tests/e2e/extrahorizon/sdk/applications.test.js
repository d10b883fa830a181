// Applications, their versions, authorization codes, and what was issued (contract sections 2.2 and 10; exh.auth of the SDK).
const assert = require('node:assert/strict');
const { createHash, randomBytes } = require('node:crypto');
const { test } = require('node:test');
const { createOAuth1Client, createOAuth2Client } = require('@extrahorizon/javascript-sdk');
const { administrator, anonymous, host, http, nobody, password, refused, unique, username } = require('./support');

const redirectUri = 'https://page.example/back';
const anonymousOf = clientId => createOAuth2Client({ host, clientId });

// Make an application with one version for one case; it is gone when the case ends.
async function applicationOf(context, exh, fields = {}) {
  const application = await exh.auth.applications.create({
    type: 'oauth2', name: unique('app'), description: 'of a case', ...(fields.type === 'oauth1' ? {} : { redirectUris: [redirectUri] }), ...fields,
  });
  context.after(() => exh.auth.applications.remove(application.id).catch(() => {}));
  return { application, version: await exh.auth.applications.createVersion(application.id, { name: 'v1.0.0' }) };
}

test('an application is created, found, changed and removed', async context => {
  const exh = await administrator();
  const { application, version } = await applicationOf(context, exh);

  assert.deepEqual(application.versions, []);
  assert.ok(application.creationTimestamp instanceof Date);
  const found = await exh.auth.applications.findById(application.id);
  assert.deepEqual(found.versions.map(each => [each.id, each.clientId]), [[version.id, version.clientId]]);
  assert.equal((await exh.auth.applications.findByName(application.name)).id, application.id);
  assert.ok((await exh.auth.applications.findAll()).some(({ id }) => id === application.id));
  const changed = await exh.auth.applications.update(application.id, { type: 'oauth2', description: 'changed' });
  assert.deepEqual(changed, { affectedRecords: 1 });
  assert.equal((await exh.auth.applications.findById(application.id)).description, 'changed');
  assert.deepEqual(await exh.auth.applications.remove(application.id), { affectedRecords: 1 });
  assert.equal(await exh.auth.applications.findById(application.id), undefined);
  await refused(exh.auth.applications.remove(application.id), 'ResourceUnknownError');
  await refused(exh.auth.applications.create({ type: 'oauth2', name: 'x' }), 'MissingRequiredFieldsError');
});

test('who may not manage applications sees what they call themselves', async context => {
  const { application } = await applicationOf(context, await administrator());
  const member = await nobody();

  const found = await member.auth.applications.findByName(application.name);

  assert.deepEqual(Object.keys(found).sort(), ['description', 'name', 'type']);
  await refused(member.auth.applications.create({ type: 'oauth1', name: 'x', description: 'y' }), 'NoPermissionError');
});

test('a version of an OAuth 1.0 application signs until it is removed', async context => {
  const exh = await administrator();
  const { application, version } = await applicationOf(context, exh, { type: 'oauth1' });
  const { consumerKey, consumerSecret } = version;
  const signing = createOAuth1Client({ host, consumerKey, consumerSecret });
  await signing.auth.authenticate({ email: username, password });
  assert.equal((await signing.users.me()).email, username);

  assert.deepEqual(await exh.auth.applications.deleteVersion(application.id, version.id), { affectedRecords: 1 });

  await refused(signing.users.me(), 'OauthKeyError');
});

test('a confidential client shows its secret', async context => {
  const { version } = await applicationOf(context, await administrator(), { confidential: true });
  const { clientId, clientSecret } = version;
  const login = { username, password };

  assert.ok((await createOAuth2Client({ host, clientId, clientSecret }).auth.authenticate(login)).accessToken);
  const wrong = await refused(createOAuth2Client({ host, clientId, clientSecret: 'no' }).auth.authenticate(login), 'InvalidClientError');
  assert.equal(wrong.exhError.constructor.name, 'OAuth2ClientSecretError');
  const none = await refused(createOAuth2Client({ host, clientId }).auth.authenticate(login), 'InvalidClientError');
  assert.equal(none.exhError.constructor.name, 'OAuth2MissingClientCredentialsError');
});

test('an authorization code gives tokens once', async context => {
  const exh = await administrator();
  const { version: { clientId } } = await applicationOf(context, exh);

  const authorization = await exh.auth.oauth2.createAuthorization({ responseType: 'code', clientId, redirectUri, state: 'xyz' });

  assert.deepEqual([authorization.clientId, authorization.redirectUri, authorization.state], [clientId, redirectUri, 'xyz']);
  assert.ok(authorization.expiryTimestamp > new Date());
  const page = createOAuth2Client({ host, clientId });
  const tokens = await page.auth.authenticate({ code: authorization.authorizationCode });
  assert.equal(tokens.userId, authorization.userId);
  assert.equal((await page.users.me()).email, username);
  const again = await refused(anonymousOf(clientId).auth.authenticate({ code: authorization.authorizationCode }), 'InvalidGrantError');
  assert.equal(again.exhError.constructor.name, 'AuthorizationUnknownError');
});

test('what is wrong with an authorization is told', async context => {
  const exh = await administrator();
  const { version: { clientId } } = await applicationOf(context, exh);
  const good = { responseType: 'code', clientId, redirectUri };

  await refused(exh.auth.oauth2.authorizations.create({ ...good, redirectUri: 'https://evil.example' }), 'CallbackNotValidError');
  await refused(exh.auth.oauth2.authorizations.create({ ...good, responseType: 'token' }), 'UnsupportedResponseTypeError');
  await refused(exh.auth.oauth2.authorizations.create({ ...good, clientId: 'none' }), 'ApplicationUnknownError');
  await refused(anonymous().auth.oauth2.authorizations.create(good), 'UserNotAuthenticatedError');
  const unknown = await refused(anonymousOf(clientId).auth.authenticate({ code: 'none' }), 'InvalidGrantError');
  assert.equal(unknown.exhError.constructor.name, 'AuthorizationUnknownError');
});

test('a code that was asked for with a challenge wants its verifier', async context => {
  const exh = await administrator();
  const { version: { clientId } } = await applicationOf(context, exh);
  const verifier = randomBytes(32).toString('base64url');
  const codeChallenge = createHash('sha256').update(verifier).digest('base64url');
  const { authorizationCode: code } = await exh.auth.oauth2.authorizations.create({
    responseType: 'code', clientId, redirectUri, codeChallengeMethod: 'S256', codeChallenge,
  });
  const exchanged = async more => {
    const body = JSON.stringify({ client_id: clientId, grant_type: 'authorization_code', code, ...more });
    const answer = await http('POST', '/auth/v2/oauth2/tokens', { body, headers: { 'Content-Type': 'application/json' } });
    return { status: answer.status, ...(await answer.json()) };
  };

  const missing = await refused(anonymousOf(clientId).auth.authenticate({ code }), 'InvalidRequestError');
  assert.equal(missing.exhError.constructor.name, 'MissingPKCEVerifierError');
  const wrong = await exchanged({ code_verifier: 'w'.repeat(43) });
  assert.deepEqual([wrong.status, wrong.error, wrong.exh_error.code], [400, 'invalid_grant', 122]);
  assert.equal((await exchanged({ code_verifier: verifier })).token_type, 'bearer');
});

test('what was issued is listed and taken back', async context => {
  const exh = await administrator();
  const { version: { clientId } } = await applicationOf(context, exh);
  const { id } = await exh.auth.oauth2.authorizations.create({ responseType: 'code', clientId, redirectUri });
  const { version: { consumerKey, consumerSecret } } = await applicationOf(context, exh, { type: 'oauth1' });
  const signing = createOAuth1Client({ host, consumerKey, consumerSecret });
  const signed = await signing.auth.authenticate({ email: username, password });
  const page = createOAuth2Client({ host, clientId });
  const tokens = await page.auth.authenticate({ username, password });

  assert.equal((await exh.auth.oauth2.authorizations.findById(id)).clientId, clientId);
  assert.equal((await exh.auth.oauth2.getAuthorizations()).data[0].id, id);
  assert.deepEqual(await exh.auth.oauth2.deleteAuthorization(id), { affectedRecords: 1 });
  await refused(exh.auth.oauth2.authorizations.remove(id), 'ResourceUnknownError');

  assert.equal((await exh.auth.oauth1.tokens.findById(signed.id)).token, signed.token);
  assert.deepEqual(await exh.auth.oauth1.tokens.remove(signed.id), { affectedRecords: 1 });
  await refused(signing.users.me(), 'OauthTokenError');

  const rql = `?eq(applicationId,${tokens.applicationId})`;
  const [access] = (await exh.auth.oauth2.tokens.find({ rql })).data;
  const [refresh] = (await exh.auth.oauth2.refreshTokens.find({ rql })).data;
  assert.equal(access.refreshTokenId, refresh.id);
  assert.deepEqual(await exh.auth.oauth2.refreshTokens.remove(refresh.id), { affectedRecords: 1 });
  assert.deepEqual(await exh.auth.oauth2.tokens.remove(access.id), { affectedRecords: 1 });
  const gone = await refused(page.users.me(), 'InvalidGrantError');
  assert.equal(gone.exhError.constructor.name, 'RefreshTokenUnknownError');
});
