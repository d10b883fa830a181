// Which services there are, and where they are found (contract sections 2.1, 2.4 and 10).
const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { administrator, host, http, refused } = require('./support');

let exh;
before(async () => {
  exh = await administrator();
});

test('a service that is not offered is told as one', async () => {
  const calls = [
    exh.data.schemas.find(), exh.files.find(), exh.mails.find(), exh.templates.find(), exh.templatesV2.find(),
    exh.dispatchers.find(), exh.localizations.find(), exh.notifications.find(), exh.notificationsV2.find(),
    exh.events.find(), exh.profiles.find(), exh.configurations.general.get(), exh.payments.products.find(),
    exh.logs.access.find(),
  ];
  for (const error of await Promise.all(calls.map(call => refused(call, 'ServiceNotFoundError')))) {
    assert.deepEqual([error.status, error.response.code], [404, 903]);
  }
});

test('a path that no service has is no endpoint', async () => {
  for (const path of ['/tasks/v1/functions/a/b/c', '/auth/v2/none', '/users/v1/roles/none/none', '/tasks/v1none']) {
    const answer = await http('GET', path);
    assert.deepEqual([answer.status, (await answer.json()).name], [404, 'ENDPOINT_EXCEPTION'], path);
  }
});

test('localhost answers over both versions of the internet protocol', async () => {
  const { port } = new URL(host);
  for (const address of [`http://127.0.0.1:${port}`, `http://[::1]:${port}`]) {
    assert.equal((await fetch(`${address}/tasks/v1/health`)).status, 200);
  }
});
