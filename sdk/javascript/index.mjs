// A client of the Functions API of the Neo Service Layer, as Tidemill serves it. No dependencies; it needs `fetch`,
// which Node.js has since 18 and browsers have. index.mjs is made from this file by build.mjs: only the last line differs.

const DEFAULT_TIMEOUT_MS = 60_000;
// A synchronous run may take five minutes, and its caller a little more.
const INVOKE_TIMEOUT_MS = 310_000;
const LONGEST_RETRY_AFTER_S = 120;
const FIRST_POLL_MS = 50;
const LONGEST_POLL_MS = 2_000;

/** What the service refused, or why it could not be asked. `code` tells which; see the README for the codes. */
class NeoServiceError extends Error {
  constructor(message, { code, status = 0, details = {}, requestId = null, retryAfter = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'NeoServiceError';
    this.code = code;
    this.status = status;
    this.details = details;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }

  /** The execution that failed, when a synchronous run did. */
  get executionId() {
    return this.details.executionId ?? null;
  }
}

/** Sends requests and opens envelopes. Holds the key where printing the client does not show it. */
class Transport {
  #apiKey;
  #baseUrl;
  #fetch;
  #timeout;
  #retry;

  constructor({ apiKey, baseUrl, timeout, retryOnRateLimit, fetch }) {
    this.#apiKey = apiKey;
    this.#baseUrl = normalized(baseUrl);
    this.#fetch = fetch;
    this.#timeout = timeout;
    this.#retry = retryOnRateLimit;
  }

  /** Send one request; return the envelope. A request refused for its rate was not carried out and may be repeated. */
  async send(method, path, { query, body, headers, timeout, signal } = {}) {
    const request = { method, redirect: 'error', headers: { Accept: 'application/json', ...headers } };
    if (this.#apiKey !== undefined) request.headers['X-API-Key'] = this.#apiKey;
    if (body !== undefined) {
      request.headers['Content-Type'] = 'application/json';
      request.body = JSON.stringify(body);
    }
    const url = this.#baseUrl + path + queryString(query);
    const limit = timeout ?? this.#timeout ?? DEFAULT_TIMEOUT_MS;
    try {
      return await this.#once(url, request, limit, signal);
    } catch (error) {
      if (!this.#retry || error.status !== 429 || !(error.retryAfter <= LONGEST_RETRY_AFTER_S)) throw error;
      await sleep(error.retryAfter * 1000, signal);
      return this.#once(url, request, limit, signal);
    }
  }

  async data(method, path, options) {
    return (await this.send(method, path, options)).data;
  }

  /** A list is an array of its items; `pagination` says where in the whole they are. */
  async page(path, options) {
    const { data, pagination } = await this.send('GET', path, options);
    return Object.defineProperty(data, 'pagination', { value: pagination });
  }

  /** The longest a run is waited for, unless the caller said otherwise. */
  get invokeTimeout() {
    return this.#timeout ?? INVOKE_TIMEOUT_MS;
  }

  async #once(url, request, timeout, signal) {
    const stop = new AbortController();
    const abort = () => stop.abort(signal.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      stop.abort();
    }, timeout);
    try {
      const fetch = this.#fetch ?? globalThis.fetch;
      const response = await fetch(url, { ...request, signal: stop.signal });
      return opened(response, await response.text());
    } catch (error) {
      if (error instanceof NeoServiceError || signal?.aborted) throw error;
      if (late) throw new NeoServiceError(`no answer within ${timeout} ms`, { code: 'timeout', cause: error });
      throw new NeoServiceError(`the service cannot be reached: ${reasonOf(error)}`, { code: 'network_error', cause: error });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }
}

class Functions {
  #transport;

  constructor(transport) {
    this.#transport = transport;
  }

  /** List functions; `options`: limit, offset, tag, runtime, status, sort, order. */
  list(options = {}) {
    const { limit, offset, tag, runtime, status, sort, order, ...rest } = options;
    return this.#transport.page('/v1/functions', { query: { limit, offset, tag, runtime, status, sort, order }, ...rest });
  }

  create(definition, options) {
    return this.#transport.data('POST', '/v1/functions', { body: definition, ...options });
  }

  /** Read a function by id or by name; `includeCode: true` adds its code. */
  get(idOrName, { includeCode, ...options } = {}) {
    return this.#transport.data('GET', functionPath(idOrName), { query: { include_code: includeCode }, ...options });
  }

  /** Change what `changes` names; the rest stays. */
  update(idOrName, changes, options) {
    return this.#transport.data('PUT', functionPath(idOrName), { body: changes, ...options });
  }

  delete(idOrName, options) {
    return this.#transport.data('DELETE', functionPath(idOrName), options);
  }

  /**
   * Run a function and return `{ execution, result }`. A run that fails rejects with code `execution_error`.
   * With `async: true` there is only `execution`, still running: see `waitForExecution`.
   */
  invoke(idOrName, params, { async: later = false, idempotencyKey, timeout, ...options } = {}) {
    const body = { async: later };
    if (params !== undefined) body.params = params;
    return this.#transport.data('POST', `${functionPath(idOrName)}/invoke`, {
      body,
      headers: idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey },
      timeout: timeout ?? (later ? undefined : this.#transport.invokeTimeout),
      ...options,
    });
  }

  /** List executions, newest first; `options`: limit, offset, status, startDate, endDate (a Date or ISO 8601). */
  listExecutions(idOrName, options = {}) {
    const { limit, offset, status, startDate, endDate, ...rest } = options;
    const query = { limit, offset, status, start_date: startDate, end_date: endDate };
    return this.#transport.page(`${functionPath(idOrName)}/executions`, { query, ...rest });
  }

  /** Read an execution with its logs and its result or error. */
  getExecution(idOrName, executionId, options) {
    return this.#transport.data('GET', `${functionPath(idOrName)}/executions/${segment(executionId)}`, options);
  }

  /** Poll an execution until it is `completed` or `failed`, and return it; `timeout` bounds it all (five minutes). */
  async waitForExecution(idOrName, executionId, { timeout = INVOKE_TIMEOUT_MS, signal } = {}) {
    const deadline = Date.now() + timeout;
    for (let pause = FIRST_POLL_MS; ; pause = Math.min(pause * 2, LONGEST_POLL_MS)) {
      const left = deadline - Date.now();
      if (left <= 0) throw new NeoServiceError(`the execution did not end within ${timeout} ms`, { code: 'timeout' });
      const execution = await this.getExecution(idOrName, executionId, { timeout: Math.min(left, DEFAULT_TIMEOUT_MS), signal });
      if (execution.status !== 'running') return execution;
      await sleep(Math.min(pause, Math.max(0, deadline - Date.now())), signal);
    }
  }

  async getEnvironment(idOrName, options) {
    return (await this.#transport.data('GET', `${functionPath(idOrName)}/environment`, options)).environment;
  }

  /** Replace all environment variables. */
  async setEnvironment(idOrName, environment, options) {
    const request = { body: { environment }, ...options };
    return (await this.#transport.data('PUT', `${functionPath(idOrName)}/environment`, request)).environment;
  }

  /** Replace the names of the secrets the function is given. */
  async setSecrets(idOrName, names, options) {
    const request = { body: { secrets: names }, ...options };
    return (await this.#transport.data('PUT', `${functionPath(idOrName)}/secrets`, request)).secrets;
  }
}

class Secrets {
  #transport;

  constructor(transport) {
    this.#transport = transport;
  }

  list({ limit, offset, ...options } = {}) {
    return this.#transport.page('/v1/secrets', { query: { limit, offset }, ...options });
  }

  create(secret, options) {
    return this.#transport.data('POST', '/v1/secrets', { body: secret, ...options });
  }

  /** What is told of a secret, by id or by name; never its value. */
  get(idOrName, options) {
    return this.#transport.data('GET', `/v1/secrets/${segment(idOrName)}`, options);
  }

  update(idOrName, changes, options) {
    return this.#transport.data('PUT', `/v1/secrets/${segment(idOrName)}`, { body: changes, ...options });
  }

  delete(idOrName, options) {
    return this.#transport.data('DELETE', `/v1/secrets/${segment(idOrName)}`, options);
  }
}

class ApiKeys {
  #transport;

  constructor(transport) {
    this.#transport = transport;
  }

  list({ limit, offset, ...options } = {}) {
    return this.#transport.page('/v1/api-keys', { query: { limit, offset }, ...options });
  }

  /** Make a key. Its `key` is shown in this answer and never again. */
  create(wanted, options) {
    return this.#transport.data('POST', '/v1/api-keys', { body: wanted, ...options });
  }

  revoke(id, options) {
    return this.#transport.data('DELETE', `/v1/api-keys/${segment(id)}`, options);
  }

  /** Make a new key in the place of one that works on for a while. */
  rotate(id, options) {
    return this.#transport.data('POST', `/v1/api-keys/${segment(id)}/rotate`, options);
  }
}

class Attestation {
  #transport;

  constructor(transport) {
    this.#transport = transport;
  }

  /** The signed document about the service; a `nonce` (hex) comes back in it. */
  get({ nonce, ...options } = {}) {
    return this.#transport.data('GET', '/v1/attestation', { query: { nonce }, ...options });
  }

  /** Ask the service whether it signed a document or a receipt. */
  verify(document, options) {
    return this.#transport.data('POST', '/v1/attestation/verify', { body: { document }, ...options });
  }
}

class NeoServiceLayer {
  #transport;

  /**
   * @param {object} [options]
   * @param {string} [options.apiKey] needed by everything but `health` and `attestation`
   * @param {string} [options.baseUrl] default: TIDEMILL_URL of the environment, in a browser the page's own origin,
   *   else http://localhost:8080
   * @param {number} [options.timeout] milliseconds for one request; default 60 s, 310 s for a synchronous run
   * @param {boolean} [options.retryOnRateLimit] repeat once a request refused with 429, after the time it says
   * @param {typeof fetch} [options.fetch] in place of the global one
   */
  constructor({ apiKey, baseUrl, timeout, retryOnRateLimit = false, fetch } = {}) {
    if (apiKey !== undefined && (typeof apiKey !== 'string' || apiKey === '')) throw new TypeError('apiKey must be a string');
    this.#transport = new Transport({ apiKey, baseUrl: baseUrl ?? defaultUrl(), timeout, retryOnRateLimit, fetch });
    this.functions = new Functions(this.#transport);
    this.secrets = new Secrets(this.#transport);
    this.apiKeys = new ApiKeys(this.#transport);
    this.attestation = new Attestation(this.#transport);
  }

  /** How the service is, and which runtimes it offers. */
  health(options) {
    return this.#transport.data('GET', '/v1/health', options);
  }
}

function opened(response, text) {
  const requestId = response.headers.get('X-Request-Id');
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (response.ok && body?.success === true) return body;
  const error = body?.success === false ? body.error : undefined;
  const retryAfter = response.headers.get('Retry-After');
  throw new NeoServiceError(error?.message ?? `the service answered ${response.status} and no envelope`, {
    code: error?.code ?? 'unexpected_response',
    status: response.status,
    details: error?.details ?? {},
    requestId,
    retryAfter: retryAfter === null ? null : Number(retryAfter),
  });
}

function normalized(baseUrl) {
  const url = String(new URL(baseUrl)).replace(/\/+$/, '');
  return url.endsWith('/v1') ? url.slice(0, -3) : url;
}

function defaultUrl() {
  const named = typeof process === 'object' ? process.env?.TIDEMILL_URL : undefined;
  const origin = globalThis.location?.origin;
  return named || (origin?.startsWith('http') ? origin : 'http://localhost:8080');
}

function functionPath(idOrName) {
  return `/v1/functions/${segment(idOrName)}`;
}

/** One segment of a path. Dots alone would be taken for a step up. */
function segment(value) {
  if (typeof value !== 'string' || value === '' || value === '.' || value === '..') {
    throw new TypeError(`an id or a name was expected, not ${JSON.stringify(value)}`);
  }
  return encodeURIComponent(value);
}

function queryString(query = {}) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null) given.append(name, value instanceof Date ? value.toISOString() : String(value));
  }
  const text = given.toString();
  return text === '' ? '' : `?${text}`;
}

function reasonOf(error) {
  return error.cause?.code ?? error.cause?.message ?? error.message;
}

function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, milliseconds);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
  });
}

export { NeoServiceLayer, NeoServiceError };
