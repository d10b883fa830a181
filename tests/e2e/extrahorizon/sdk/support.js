// What the programs beside this file share: clients of the platform, packages, and what a refusal looks like.
const assert = require('node:assert/strict');
const zlib = require('node:zlib');
const { createOAuth2Client } = require('@extrahorizon/javascript-sdk');

const { TIDEMILL: host, CLIENT_ID: clientId, EMAIL: username, PASSWORD: password } = process.env;
const { NOBODY_EMAIL: nobodyEmail, MEMBER_PASSWORD: memberPassword } = process.env;

let last = 0;
// A name no other program and no other run of this one uses.
function unique(stem) {
  last += 1;
  return `${stem}-${process.pid}-${last}`;
}

// A client nobody has logged in with.
function anonymous() {
  return createOAuth2Client({ host, clientId });
}

// A client of the administrator.
async function administrator() {
  const exh = anonymous();
  await exh.auth.authenticate({ username, password });
  return exh;
}

// A client of a user that the tests have added.
async function member(email) {
  const exh = anonymous();
  await exh.auth.authenticate({ username: email, password: memberPassword });
  return exh;
}

// A client of a user who has no permission at all.
const nobody = () => member(nobodyEmail);

// A request by hand: with the access token given, or with none.
function http(method, path, { token, headers, ...rest } = {}) {
  const authorization = token ? { Authorization: `Bearer ${token}` } : {};
  return fetch(host + path, { method, headers: { ...authorization, ...headers }, redirect: 'manual', ...rest });
}

// Files as a zip in Base64, as tasks.functions.create takes them.
function zipped(files) {
  const parts = [];
  const entries = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    const path = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(zlib.crc32(content), 10);
    common.writeUInt32LE(content.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, path, content]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    entries.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, tail, path]));
    parts.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, directory, end]).toString('base64');
}

// The fields of a new function made of one JavaScript file.
function made(source, fields = {}) {
  return { name: unique('sdk'), code: zipped({ 'index.js': source }), entryPoint: 'index.handler', runtime: 'nodejs20.x', ...fields };
}

// Make a function for one case; it is gone when the case ends. Return its name.
async function functionOf(context, exh, source, fields = {}) {
  const { name } = await exh.tasks.functions.create(made(source, fields));
  context.after(() => exh.tasks.functions.remove(name));
  return name;
}

const mode = permissionMode => ({ executionOptions: { permissionMode } });

// What a call is refused with: it must be the SDK's class of this name.
async function refused(promise, className) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    assert.equal(error.constructor.name, className, error.stack);
    return error;
  }
  return assert.fail(`nothing was refused: ${JSON.stringify(value)}`);
}

// Ask until the answer satisfies; the last complaint when the time is up.
async function eventually(ask, withinMs = 10000) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await new Promise(resolve => setTimeout(resolve, 25));
  }
}

module.exports = {
  host, clientId, username, password, nobodyEmail, memberPassword,
  administrator, anonymous, eventually, functionOf, http, made, member, mode, nobody, refused, unique, zipped,
};
