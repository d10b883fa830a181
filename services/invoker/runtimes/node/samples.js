'use strict';
// Objects that lead to the prototypes that no class or module names: of iterators, of keys, of the state that streams
// and event targets keep.

const classes = () => {
  const target = new EventTarget();
  target.addEventListener('sample', () => {});
  const { signal } = new AbortController();
  signal.addEventListener('abort', () => {});
  return [
    new URL('http://sample/'), new URLSearchParams('a=1').entries(), new TextEncoder(), new TextDecoder(), target, signal, new Event('sample'),
    Buffer.alloc(1).entries(), Buffer.alloc(1).buffer,
  ];
};

const crypto = (module) => {
  const hash = module.createHash('sha256');
  void hash._readableState; // made when it is first looked at
  const { publicKey, privateKey } = module.generateKeyPairSync('ed25519');
  const cipher = module.createCipheriv('aes-128-cbc', Buffer.alloc(16), Buffer.alloc(16));
  const keys = [publicKey, privateKey, module.createSecretKey(Buffer.alloc(1))];
  return [hash, cipher, module.createHmac('sha256', 'a'), module.createSign('sha256'), module.createVerify('sha256'), module.createECDH('prime256v1'), ...keys];
};

const events = (EventEmitter) => {
  const emitter = new EventEmitter();
  return [emitter, EventEmitter.on(emitter, 'sample')];
};

module.exports = { classes, modules: { crypto, events } };
