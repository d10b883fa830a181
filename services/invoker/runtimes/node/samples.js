'use strict';
// Objects that lead to the prototypes that no class or module names: of iterators, of keys, of the state that streams
// and event targets keep.

function heard(target) {
  target.addEventListener('sample', () => {});
  return target;
}

function aborted() {
  const controller = new AbortController();
  controller.abort();
  return [controller, controller.signal, controller.signal.reason, heard(new AbortController().signal)];
}

const classes = {
  URL: () => [new URL('http://sample/')],
  URLSearchParams: () => [new URLSearchParams('a=1').entries()],
  TextDecoder: () => [new TextDecoder()],
  AbortController: aborted,
  Event: () => [new Event('sample')],
  EventTarget: () => [heard(new EventTarget())],
};

function crypto(module) {
  const hash = module.createHash('sha256');
  void hash._readableState; // made when it is first looked at
  const { publicKey, privateKey } = module.generateKeyPairSync('ed25519');
  return [hash, publicKey, privateKey, module.createSecretKey(Buffer.alloc(1))];
}

function events(EventEmitter) {
  const emitter = new EventEmitter();
  return [emitter, EventEmitter.on(emitter, 'sample')];
}

module.exports = { classes, modules: { crypto, events } };
