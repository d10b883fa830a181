// The unmodified SDK against a server: does everything once and prints what came of it as one JSON object.
// argv[2]: {"host", "clientId", "username", "password", "name", "code"}; code is the zip of probe.js in Base64.
const { createOAuth2Client, rqlBuilder } = require('@extrahorizon/javascript-sdk');

const given = JSON.parse(process.argv[2]);
const { host, clientId, username, password, name, code } = given;
const seen = {};

async function failure(promise) {
  try {
    return { returned: await promise };
  } catch (error) {
    return {
      class: error.constructor.name,
      inner: error.exhError && error.exhError.constructor.name,
      name: error.name,
      status: error.status,
      message: error.message,
      response: error.response,
    };
  }
}

async function login() {
  const exh = createOAuth2Client({ host, clientId });
  seen.nobody = await failure(exh.users.me());
  seen.wrongPassword = await failure(exh.auth.authenticate({ username, password: 'wrong' }));
  seen.wrongClient = await failure(createOAuth2Client({ host, clientId: 'none' }).auth.authenticate({ username, password }));
  seen.tokens = await exh.auth.authenticate({ username, password });
  seen.me = await exh.users.me();
  const stale = createOAuth2Client({ host, clientId, accessToken: '0'.repeat(40), refreshToken: seen.tokens.refreshToken });
  seen.recovered = (await stale.users.me()).id;
  seen.usedTwice = await failure(exh.auth.authenticate({ refreshToken: seen.tokens.refreshToken }));
  return stale;
}

async function functions(exh) {
  const body = { name, code, entryPoint: 'index.handler', runtime: 'nodejs20.x', description: 'a probe' };
  seen.created = await exh.tasks.functions.create(body);
  seen.taken = await failure(exh.tasks.functions.create(body));
  seen.noZip = await failure(exh.tasks.functions.create({ ...body, name: `${name}-2`, code: 'bm8gemlw' }));
  seen.missing = await failure(exh.tasks.functions.create({ name: `${name}-2` }));
  seen.wrongField = await failure(exh.tasks.functions.create({ ...body, name: `${name}-2`, timeLimit: 2 }));
  seen.listed = (await exh.tasks.functions.find()).data.filter(each => each.name === name);
  seen.listedDate = seen.listed[0].updateTimestamp instanceof Date;
  seen.updated = await exh.tasks.functions.update(name, { description: 'changed', timeLimit: 10 });
  seen.shown = await exh.tasks.functions.getByName(name);
  seen.disabled = await exh.tasks.functions.disable(name);
  seen.callDisabled = await failure(exh.tasks.api.get(name, '/'));
  seen.enabled = await exh.tasks.functions.enable(name);
}

async function calls(exh) {
  seen.get = await exh.tasks.api.get(name, "a b/it's?x=1&y=c d");
  seen.post = await exh.tasks.api.post(name, '/json', { qty: 2 });
  seen.put = await exh.tasks.api.put(name, '/text', 'plain', { headers: { 'Content-Type': 'text/plain' } });
  seen.patch = await exh.tasks.api.patch(name, '/bytes', Buffer.from([0, 255, 128]), {
    headers: { 'Content-Type': 'application/octet-stream', 'X-Exh-Requesting-User-Id': 'forged' },
  });
  seen.delete = await exh.tasks.api.delete(name, '/');
  const binary = await exh.tasks.api.get(name, '/binary', { responseType: 'arraybuffer' });
  seen.binary = Buffer.from(binary).toString('hex');
  seen.notFound = await failure(exh.tasks.api.get(name, '/status/404'));
  seen.badResult = await failure(exh.tasks.api.get(name, '/status/500'));
  seen.thrown = await failure(exh.tasks.api.get(name, '/throw'));
  seen.unknown = await failure(exh.tasks.api.get(`${name}-none`, '/'));
}

async function records(exh) {
  const ofThis = () => rqlBuilder().eq('functionName', name);
  const deadline = Date.now() + 5000;
  let all = [];
  while (all.length < 10 && Date.now() < deadline) {
    all = await exh.tasks.apiRequests.findAll({ rql: ofThis().build() });
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  seen.records = all.reverse();
  seen.recordDate = all[0].timestamp instanceof Date;
  const since = new Date(Date.now() - 3600000).toISOString();
  const page = await exh.tasks.apiRequests.find({
    rql: ofThis().gt('timestamp', since).eq('path', '/text').sort('-timestamp').build(),
  });
  seen.filtered = { page: page.page, paths: page.data.map(each => each.path) };
  const first = await exh.tasks.apiRequests.find({ rql: ofThis().sort('timestamp').limit(2).build() });
  const next = await first.next();
  seen.pages = [first, next].map(each => ({ page: each.page, methods: each.data.map(one => one.method) }));
  seen.brokenRql = await failure(exh.tasks.apiRequests.find({ rql: '?eq(name' }));
  const withLogs = all.find(each => each.path === '/json');
  seen.logs = (await exh.tasks.apiRequests.logs.find(withLogs.id)).map(each => each.message);
  const late = rqlBuilder().ge('timestamp', new Date(Date.now() + 60000).toISOString()).build();
  seen.noLogs = await failure(exh.tasks.apiRequests.logs.find(withLogs.id, { rql: late }));
  const wrong = rqlBuilder().lt('timestamp', since).build();
  seen.wrongLogs = await failure(exh.tasks.apiRequests.logs.find(withLogs.id, { rql: wrong }));
}

async function main() {
  const exh = await login();
  await functions(exh);
  await calls(exh);
  await records(exh);
  seen.removed = await exh.tasks.functions.remove(name);
  seen.gone = await failure(exh.tasks.functions.getByName(name));
  console.log(JSON.stringify(seen));
}

main().catch(error => {
  console.error(error, JSON.stringify(seen));
  process.exitCode = 1;
});
