// The samples of the published Functions API page, as they are printed there but for the id of the function they name.
// Each runs as a program of its own: the page shows programs that end by printing.
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { test } = require('node:test');

const HEAD = `const { NeoServiceLayer } = require('neo-service-layer-sdk');
const serviceLayer = new NeoServiceLayer({ apiKey: 'your-api-key-here' });
`;

const CREATE = `async function createFunction() {
  const functionCode = \`
    module.exports = async function(context) {
      const { params } = context;
      return { message: \\\`Hello, \\\${params.name || 'World'}!\\\`, timestamp: new Date().toISOString() };
    };
  \`;
  const result = await serviceLayer.functions.create({
    name: 'hello-world',
    code: functionCode,
    runtime: 'node16',
    description: 'A simple hello world function',
    environment: { LOG_LEVEL: 'info' },
    secrets: ['api-key-1'],
    tags: ['example', 'demo']
  });
  console.log(result);
}
createFunction().catch(console.error);
`;

const LIST = `async function listFunctions() {
  const functions = await serviceLayer.functions.list({ limit: 10, offset: 0, sort: 'createdAt', order: 'desc' });
  console.log(functions);
}
listFunctions().catch(console.error);
`;

const GET = `async function getFunction() {
  const functionDetails = await serviceLayer.functions.get('func_1234567890', { includeCode: true });
  console.log(functionDetails);
}
getFunction().catch(console.error);
`;

const INVOKE = `async function invokeFunction() {
  const result = await serviceLayer.functions.invoke('func_1234567890', { name: 'Neo' });
  console.log(result);
}
invokeFunction().catch(console.error);
`;

const EXECUTIONS = `async function listExecutions() {
  const executions = await serviceLayer.functions.listExecutions('func_1234567890', { limit: 10, status: 'completed' });
  console.log(executions);
}
listExecutions().catch(console.error);
`;

const METHODS = `const functionsService = serviceLayer.functions;
console.log(['list', 'create', 'get', 'update', 'delete', 'invoke', 'listExecutions', 'getExecution']
  .map(name => typeof functionsService[name]));
`;

// Run one sample; print what it logs as JSON, and fail on what it reports as an error.
function printed(sample, functionId = 'func_1234567890') {
  const key = process.env.TIDEMILL_TEST_KEY;
  const program = (HEAD + sample).replaceAll('your-api-key-here', key).replaceAll('func_1234567890', functionId);
  const shim = `console.log = value => process.stdout.write(JSON.stringify(value));
console.error = error => { process.stderr.write(String(error)); process.exitCode = 1; };
`;
  return JSON.parse(execFileSync(process.execPath, ['-e', shim + program], { cwd: __dirname, timeout: 30_000 }));
}

test('the samples of the page do what the page shows', async () => {
  const created = printed(CREATE);
  assert.match(created.id, /^func_[a-z0-9]{10}$/);
  assert.equal(created.name, 'hello-world');
  assert.deepEqual(created.secrets, ['api-key-1']);

  const listed = printed(LIST);
  assert.deepEqual(listed.map(each => each.name), ['hello-world']);
  const details = printed(GET, created.id);
  assert.equal(details.code, created.code);
  assert.deepEqual(Object.keys(details.stats.invocations), ['total', 'success', 'failed', 'last24Hours']);

  const invoked = printed(INVOKE, created.id);
  assert.equal(invoked.result.message, 'Hello, Neo!');
  assert.equal(invoked.execution.status, 'completed');
  // A record is readable 250 ms after the answer; starting this program takes longer than that to begin with.
  const executions = printed(EXECUTIONS, created.id);
  assert.deepEqual(executions.map(each => [each.id, each.params]), [[invoked.execution.id, { name: 'Neo' }]]);
});

test('the service has the methods of the page', () => {
  assert.deepEqual(printed(METHODS), Array(8).fill('function'));
});
