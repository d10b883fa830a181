// Requests that reach an API function and answers that come back (contract sections 3.2, 4 and 5; checks 11 to 17, 22).
const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { rqlBuilder } = require('@extrahorizon/javascript-sdk');
const { administrator, eventually, functionOf, host, http, mode, refused } = require('./support');

const ECHO = 'exports.handler = async (event) => ({ statusCode: 200, body: event })';
const ANSWERS = `exports.handler = async (event) => {
  const text = event.isBase64Encoded ? Buffer.from(event.body, 'base64').toString() : event.body;
  return eval('(' + text + ')');
}`;
const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

let exh;
let token;
let me;
let echo;
let answers;
before(async context => {
  exh = await administrator();
  me = await exh.auth.authenticate({ username: process.env.EMAIL, password: process.env.PASSWORD });
  token = me.accessToken;
  echo = await functionOf(context, exh, ECHO);
  answers = await functionOf(context, exh, ANSWERS);
});

const call = (method, rest, options) => http(method, `/tasks/v1/api/${echo}${rest}`, { token, ...options });
// What becomes of a handler's result, written as JavaScript.
const answering = (result, method = 'POST') =>
  http(method, `/tasks/v1/api/${answers}/`, { token, body: result, headers: { 'Content-Type': 'text/plain' } });
const post = result => exh.tasks.api.post(answers, '/', result, { headers: { 'Content-Type': 'text/plain' } });

test('every method of the SDK reaches the function with its path and its query', async () => {
  const { api } = exh.tasks;
  for (const [method, event] of [
    ['GET', await api.get(echo, '/orders/7?full=1')],
    ['POST', await api.post(echo, '/orders/7?full=1', { qty: 2 })],
    ['PUT', await api.put(echo, '/orders/7?full=1', { qty: 2 })],
    ['PATCH', await api.patch(echo, '/orders/7?full=1', { qty: 2 })],
    ['DELETE', await api.delete(echo, '/orders/7?full=1')],
  ]) {
    assert.deepEqual(event.requestContext, { http: { method } });
    assert.deepEqual([event.version, event.rawPath, event.rawQueryString], ['2.0', '/orders/7', '?full=1']);
  }
});

test('an event has the published members and no other', async () => {
  const event = await (await call('GET', '/')).json();

  assert.deepEqual(Object.keys(event).sort(), [
    'body', 'headers', 'isBase64Encoded', 'rawPath', 'rawQueryString', 'requestContext', 'version',
  ]);
});

test('OPTIONS reaches the function and HEAD does without a body', async () => {
  const options = await (await call('OPTIONS', '/x?y', { headers: { Origin: 'https://example.com' } })).json();
  assert.deepEqual([options.requestContext.http.method, options.rawPath, options.rawQueryString], ['OPTIONS', '/x', '?y']);

  const head = await call('HEAD', '/x');
  assert.deepEqual([head.status, await head.text()], [200, '']);
  assert.match(head.headers.get('content-type'), /^application\/json/);
});

test('another method is no endpoint', async () => {
  for (const method of ['PROPFIND', 'COPY']) {
    const answer = await call(method, '/');
    assert.equal(answer.status, 404);
    assert.equal((await answer.json()).name, 'ENDPOINT_EXCEPTION');
  }
});

test('path and query are not decoded and the root has two forms', async () => {
  for (const [sent, rawPath, rawQueryString] of [
    ['', '/', ''], ['/', '/', ''], ['?a=1', '/', '?a=1'], ['/?a=1', '/', '?a=1'], ['/?', '/', ''],
    ['/a%2Fb%20c/%C3%A4', '/a%2Fb%20c/%C3%A4', ''], ['/a//b/', '/a//b/', ''],
    ['/x?a=%20b&a=c+d&empty=&none', '/x', '?a=%20b&a=c+d&empty=&none'],
    ['/x?eq(a,b%2520c)&sort(-d)', '/x', '?eq(a,b%2520c)&sort(-d)'],
  ]) {
    const event = await raw('GET', sent);
    assert.deepEqual([event.rawPath, event.rawQueryString], [rawPath, rawQueryString], sent);
  }
});

// Send a path as it is written: fetch would tidy it up.
function raw(method, rest) {
  const { request } = require('node:http');
  const { hostname, port } = new URL(host);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path: `/tasks/v1/api/${echo}${rest}`, headers: { Authorization: `Bearer ${token}` } });
    sent.on('error', reject).on('response', async answer => {
      const parts = [];
      for await (const part of answer) parts.push(part);
      resolve(JSON.parse(Buffer.concat(parts)));
    });
    sent.end();
  });
}

test('the SDK puts a slash before a path that has none', async () => {
  const event = await exh.tasks.api.get(echo, "a b/it's?x=1&y=c d");

  assert.equal(event.rawPath, '/a%20b/it%27s');
  assert.ok(event.rawQueryString.startsWith('?x=1&y=c'));
});

test('every body arrives exactly and is always a string', async () => {
  for (const [type, body] of [
    ['application/json', Buffer.from('{"qty": 2}')], ['application/json', Buffer.from('not JSON')],
    ['text/plain; charset=utf-8', Buffer.from('grüße € 😀 \u0000 \r\n')], ['text/plain', ALL_BYTES],
    ['application/octet-stream', ALL_BYTES], ['image/png', Buffer.from('text')], ['application/json', Buffer.alloc(0)],
    ['application/x-www-form-urlencoded', Buffer.from('a=1&b=%20')], ['application/soap+xml', Buffer.from('<a/>')],
  ]) {
    const event = await (await call('POST', '/', { body, headers: { 'Content-Type': type } })).json();
    assert.equal(typeof event.body, 'string');
    assert.equal(typeof event.isBase64Encoded, 'boolean');
    assert.deepEqual(Buffer.from(event.body, event.isBase64Encoded ? 'base64' : 'utf8'), body, type);
    assert.deepEqual([event.headers['content-type'], event.headers['content-length']], [type, String(body.length)]);
  }
});

test('what axios sends for each kind of body arrives', async () => {
  const object = await exh.tasks.api.post(echo, '/', { qty: 2, name: 'Zoë' });
  assert.deepEqual([object.body, object.isBase64Encoded], ['{"qty":2,"name":"Zoë"}', false]);
  const text = await exh.tasks.api.put(echo, '/', 'plain');
  assert.match(text.headers['content-type'], /^application\/x-www-form-urlencoded/);
  assert.equal(text.body, 'plain');
  const nothing = await exh.tasks.api.post(echo, '/');
  assert.deepEqual([nothing.body, nothing.isBase64Encoded], ['', false]);
  const bytes = await exh.tasks.api.patch(echo, '/', ALL_BYTES, { headers: { 'Content-Type': 'application/octet-stream' } });
  assert.deepEqual(Buffer.from(bytes.body, 'base64'), ALL_BYTES);
  for (const event of [await exh.tasks.api.get(echo, '/'), await exh.tasks.api.delete(echo, '/')]) {
    assert.deepEqual([event.body, event.headers['content-type']], ['', undefined]);
  }
});

test('header names are lower case and values stay as they are', async () => {
  const event = await exh.tasks.api.get(echo, '/', { headers: { 'X-My-Header': 'My Value; a="B"', 'x-other': '1' } });

  assert.equal(event.headers['x-my-header'], 'My Value; a="B"');
  assert.deepEqual(Object.keys(event.headers).filter(name => name !== name.toLowerCase()), []);
  assert.ok(Object.values(event.headers).every(value => typeof value === 'string'));
});

test('who is asking is told by the platform and cannot be forged', async context => {
  const open = await functionOf(context, exh, ECHO, mode('public'));
  const forged = {
    'X-EXH-Requesting-User-Id': 'f'.repeat(24), 'x-exh-requesting-application-id': 'f'.repeat(24),
    'X-Exh-Requesting-Invented': 'yes', 'X-Forwarded-User': 'f'.repeat(24), 'X-Forwarded-Application': 'f'.repeat(24),
  };
  const requesting = ({ headers }) => Object.entries(headers).filter(([name]) => name.startsWith('x-exh-requesting-')).sort();

  const known = await exh.tasks.api.get(open, '/', { headers: forged });
  const unknown = await (await http('GET', `/tasks/v1/api/${open}/`, { headers: forged })).json();

  assert.deepEqual(requesting(known), [
    ['x-exh-requesting-application-id', me.applicationId], ['x-exh-requesting-user-id', me.userId],
  ]);
  assert.deepEqual(requesting(unknown), []);
});

test('a public function is called without a token and another is not', async context => {
  const open = await functionOf(context, exh, ECHO, mode('public'));

  assert.equal((await http('GET', `/tasks/v1/api/${open}`)).status, 200);
  const closed = await http('GET', `/tasks/v1/api/${echo}`);
  assert.deepEqual([closed.status, (await closed.json()).code], [401, 104]);
});

test('what a function returns becomes an answer', async () => {
  const json = 'application/json';
  for (const [result, type, body] of [
    ['{ statusCode: 200, body: { a: [1, null] } }', json, '{"a":[1,null]}'],
    ['{ statusCode: 200, body: [1, "b"] }', json, '[1,"b"]'],
    ['{ statusCode: 200, body: 7.5 }', json, '7.5'],
    ['{ statusCode: 200, body: true }', json, 'true'],
    ['{ statusCode: 200, body: "text, not quoted: ä" }', json, 'text, not quoted: ä'],
    ['{ statusCode: 200, body: "{\\"a\\": 1}" }', json, '{"a": 1}'],
    ['{ statusCode: 200 }', json, ''],
    ['{ statusCode: 200, body: null }', json, ''],
    ['{ statusCode: 200, body: "" }', json, ''],
    ['{ statusCode: 200, headers: { "CONTENT-TYPE": "text/html" }, body: "<p>" }', 'text/html', '<p>'],
    ['{ statusCode: 200, body: "x", isBase64Encoded: false, cookies: ["a=b"], multiValueHeaders: {} }', json, 'x'],
  ]) {
    const answer = await answering(result);
    assert.equal(answer.status, 200, result);
    const [media, parameter] = answer.headers.get('content-type').split(/; */);
    assert.equal(media, type, result);
    assert.ok(!parameter || parameter.toLowerCase() === 'charset=utf-8');
    assert.equal(await answer.text(), body, result);
    assert.equal(answer.headers.get('set-cookie'), null);
  }
});

test('a binary body comes out of Base64', async () => {
  const answer = await answering(`{ statusCode: 200, headers: { 'Content-Type': 'image/png', 'X-Own': 'a' },
    isBase64Encoded: true, body: '${ALL_BYTES.toString('base64')}' }`);

  assert.equal(answer.headers.get('content-type'), 'image/png');
  assert.equal(answer.headers.get('x-own'), 'a');
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), ALL_BYTES);
  const empty = await answering("{ statusCode: 200, isBase64Encoded: true, body: '' }");
  assert.deepEqual([empty.status, await empty.text()], [200, '']);
});

test('the SDK reads a binary answer whole', async () => {
  const result = `{ statusCode: 200, isBase64Encoded: true, body: '${ALL_BYTES.toString('base64')}' }`;

  const answer = await exh.tasks.api.post(answers, '/', result, {
    headers: { 'Content-Type': 'text/plain' }, responseType: 'arraybuffer',
  });

  assert.deepEqual(Buffer.from(answer), ALL_BYTES);
});

test('the keys of an answer are left as they are', async () => {
  const answer = await post('{ statusCode: 200, body: { snake_case: 1, records_affected: 2, timestamp: "2024-05-01" } }');

  assert.deepEqual(answer, { snake_case: 1, records_affected: 2, timestamp: '2024-05-01' });
});

test('headers that belong to the connection are computed and never those of the function', async () => {
  const answer = await answering(`{ statusCode: 200, body: 'four', headers: { 'content-LENGTH': '3', 'CONNECTION': 'upgrade',
    'Transfer-Encoding': 'gzip', 'Keep-Alive': 'x', 'X-Kept': 'yes' } }`);

  assert.equal(await answer.text(), 'four');
  assert.equal(answer.headers.get('content-length'), '4');
  assert.notEqual(answer.headers.get('connection'), 'upgrade');
  assert.equal(answer.headers.get('transfer-encoding'), null);
  assert.equal(answer.headers.get('x-kept'), 'yes');
});

test('every status from 200 to 499 passes', async () => {
  for (const status of [200, 201, 299, 302, 400, 404, 418, 499]) {
    const answer = await answering(`{ statusCode: ${status}, body: 'said', headers: { Location: '/elsewhere' } }`);
    assert.deepEqual([answer.status, await answer.text()], [status, 'said']);
  }
  for (const status of [204, 304]) {
    const answer = await answering(`{ statusCode: ${status}, body: 'unseen' }`);
    assert.deepEqual([answer.status, await answer.text()], [status, '']);
  }
});

test("a function's own 404 is an error of the SDK with its body", async () => {
  const error = await refused(post("{ statusCode: 404, body: { said: 'by the function' } }"), 'ApiError');

  assert.equal(error.status, 404);
  assert.deepEqual(error.response, { said: 'by the function' });
});

test('each broken rule of an answer is refused by its name and recorded', async () => {
  const api = 'INVALID_API_FUNCTION_RESULT';
  const base64 = 'INVALID_FUNCTION_RESULT';
  const rules = [
    ['R1', api, '"text"'], ['R1', api, '7'], ['R1', api, '[200]'], ['R1', api, 'null'], ['R1', api, 'undefined'],
    ['R1', api, '{}'], ['R1', api, '{ body: "no status" }'],
    ['R2', api, '{ statusCode: "200" }'], ['R2', api, '{ statusCode: null }'], ['R2', api, '{ statusCode: true }'],
    ['R3', api, '{ statusCode: 199 }'], ['R3', api, '{ statusCode: 500 }'], ['R3', api, '{ statusCode: 200.5 }'],
    ['R4', api, '{ statusCode: 200, isBase64Encoded: "true" }'], ['R4', api, '{ statusCode: 200, isBase64Encoded: 1 }'],
    ['R4', api, '{ statusCode: 200, isBase64Encoded: null }'],
    ['R5', base64, '{ statusCode: 200, isBase64Encoded: true }'],
    ['R5', base64, '{ statusCode: 200, isBase64Encoded: true, body: { a: 1 } }'],
    ['R6', base64, '{ statusCode: 200, isBase64Encoded: true, body: "not Base64!" }'],
    ['R6', base64, '{ statusCode: 200, isBase64Encoded: true, body: "QUJDRA" }'],
    ['R7', api, '{ statusCode: 200, headers: [] }'], ['R7', api, '{ statusCode: 200, headers: "a: b" }'],
    ['R8', api, '{ statusCode: 200, headers: { a: 1 } }'], ['R8', api, '{ statusCode: 200, headers: { a: ["b"] } }'],
    ['R9', api, '{ statusCode: 200, headers: { a: "b\\r\\nc: d" } }'], ['R9', api, '{ statusCode: 200, headers: { a: "ä" } }'],
    ['R10', api, '{ statusCode: 200, headers: { "a b": "c" } }'], ['R10', api, '{ statusCode: 200, headers: { "": "c" } }'],
  ];
  const errors = await Promise.all(
    rules.map(async ([rule, name, result]) => {
      const error = await refused(post(result), 'InvalidApiFunctionResultError');
      assert.deepEqual([rule, error.status, error.response.code, error.response.name], [rule, 400, 1409, name], result);
      assert.ok(error.message.length > 10, result);
      return error;
    }),
  );
  const records = await eventually(async () => {
    const found = await exh.tasks.apiRequests.findAll({
      rql: rqlBuilder().eq('functionName', answers).eq('error.type', 'response').build(),
    });
    assert.equal(found.length, rules.length);
    return found;
  });
  const told = each => `${each.name}: ${each.message}`;
  assert.deepEqual(records.map(({ error }) => told(error)).sort(), errors.map(({ response }) => told(response)).sort());
  assert.ok(records.every(({ statusCode }) => statusCode === 400));
});

test('a status out of range is told in the published words with the returned value', async () => {
  const error = await refused(post('{ statusCode: 500 }'), 'InvalidApiFunctionResultError');

  assert.equal(error.message, 'The status code is expected to be a number between 200 and 499. Returned value: 500');
});

test('every character a header value may have passes and every other is refused', async () => {
  const allowed = /[A-Za-z0-9_ :;.,/"'?!(){}[\]@<>=\-+*#$&`|~^%]/;
  const good = Array.from({ length: 95 }, (_, offset) => String.fromCharCode(32 + offset)).filter(each => allowed.test(each));
  const answer = await answering(`{ statusCode: 200, headers: { 'X-All': ${JSON.stringify(`a${good.join('')}z`)} } }`);
  assert.equal(answer.headers.get('x-all'), `a${good.join('')}z`);

  for (const bad of ['\t', '\n', '\r', '\0', '\\', '\x7f', 'é', '€']) {
    const refusal = await answering(`{ statusCode: 200, headers: { 'X-All': ${JSON.stringify(bad)} } }`);
    assert.deepEqual([refusal.status, (await refusal.json()).code], [400, 1409], JSON.stringify(bad));
  }
});
