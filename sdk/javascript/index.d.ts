/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export type Runtime = 'node16' | 'node18';
export type FunctionStatus = 'active' | 'inactive';
export type ExecutionStatus = 'running' | 'completed' | 'failed';
export type Permission = 'read' | 'write' | 'execute' | 'admin';
/** A moment in UTC, ISO 8601, whole seconds: `2026-01-02T03:04:05Z`. */
export type Timestamp = string;

export interface ClientOptions {
  /** Needed by everything but `health` and `attestation`. */
  apiKey?: string;
  /** Default: TIDEMILL_URL of the environment, in a browser the page's own origin, else http://localhost:8080. */
  baseUrl?: string;
  /** Milliseconds for one request; default 60 s, 310 s for a synchronous run. */
  timeout?: number;
  /** Repeat once a request that was refused with 429, after the time it says. Default: false. */
  retryOnRateLimit?: boolean;
  /** Used in place of the global `fetch`. */
  fetch?: typeof globalThis.fetch;
}

/** What every method takes besides its own options. */
export interface RequestOptions {
  /** Milliseconds for this request. */
  timeout?: number;
  signal?: AbortSignal;
}

export interface Pagination {
  total: number;
  limit: number;
  offset: number;
  hasMore: boolean;
}

/** The items of a list; `pagination` says where in the whole they are. */
export type Page<Item> = Item[] & { readonly pagination: Pagination };

export interface Paging extends RequestOptions {
  limit?: number;
  offset?: number;
}

export interface FunctionDefinition {
  /** 1 to 64 letters, digits and hyphens. */
  name: string;
  /** A CommonJS module: `module.exports = async (context) => ...` */
  code: string;
  runtime: Runtime;
  description?: string;
  /** Seconds, 1 to 300; default 30. */
  timeout?: number;
  environment?: Record<string, string>;
  /** Names of secrets the function is given. */
  secrets?: string[];
  tags?: string[];
}

export interface FunctionChanges extends Partial<FunctionDefinition> {
  status?: FunctionStatus;
}

export interface ListedFunction {
  id: string;
  name: string;
  description: string;
  /** `node16` or `node18`; functions made through another dialect have runtimes of their own. */
  runtime: string;
  status: FunctionStatus;
  createdAt: Timestamp;
  updatedAt: Timestamp;
  tags: string[];
  lastInvocation: Timestamp | null;
}

export interface FunctionDetails extends Omit<ListedFunction, 'lastInvocation'> {
  timeout: number;
  environment: Record<string, string>;
  secrets: string[];
  /** Only when asked for; null for a function that was uploaded as a package. */
  code?: string | null;
}

export interface FunctionStats {
  invocations: { total: number; success: number; failed: number; last24Hours: number };
  /** Milliseconds. */
  averageExecutionTime: number;
  lastInvocation: Timestamp | null;
}

export interface ListFunctionsOptions extends Paging {
  tag?: string;
  runtime?: Runtime;
  status?: FunctionStatus;
  sort?: 'createdAt' | 'name' | 'updatedAt';
  order?: 'asc' | 'desc';
}

export interface InvokeOptions extends RequestOptions {
  /** Do not wait: the run goes on after the answer. */
  async?: boolean;
  /** With `async`: the same key within 24 hours gives the first execution again. */
  idempotencyKey?: string;
}

export interface Invocation<Result = unknown> {
  execution: { id: string; status: 'completed'; startedAt: Timestamp; completedAt: Timestamp; duration: number };
  result: Result;
}

export interface AcceptedInvocation {
  execution: { id: string; status: 'running'; startedAt: Timestamp };
}

export interface Execution {
  id: string;
  status: ExecutionStatus;
  startedAt: Timestamp;
  completedAt: Timestamp | null;
  /** Milliseconds. */
  duration: number | null;
  params: Record<string, Json>;
  hasResult: boolean;
  hasError: boolean;
}

export interface ExecutionDetails<Result = unknown> extends Execution {
  functionId: string;
  logs: { timestamp: Timestamp; level: string; message: string }[];
  /** Of a completed execution. */
  result?: Result;
  /** Of a failed execution. */
  error?: { name: string; message: string; stack: string };
  /** Null while the run goes on, and for a moment after that. */
  receipt: Receipt | null;
}

export interface ListExecutionsOptions extends Paging {
  status?: ExecutionStatus;
  startDate?: string | Date;
  endDate?: string | Date;
}

interface Signed {
  simulated: true;
  keyId: string;
  algorithm: 'Ed25519';
  /** Hex, over the canonical JSON (RFC 8785) of all other members. */
  signature: string;
}

export interface Receipt extends Signed {
  executionId: string;
  functionId: string;
  codeHash: string | null;
  paramsHash: string;
  resultHash?: string;
  errorHash?: string;
  status: 'completed' | 'failed';
  startedAt: Timestamp;
  completedAt: Timestamp;
}

export interface Measurements {
  server: string | null;
  runner: string | null;
  node16: string | null;
  node18: string | null;
}

export interface AttestationDocument extends Signed {
  teeType: 'none';
  publicKey: string;
  publicKeyHash: string;
  keys: { keyId: string; algorithm: 'Ed25519'; publicKey: string; createdAt: Timestamp; retiredAt: Timestamp | null }[];
  measurements: Measurements;
  invokers: (Measurements & { replicas: number; versions: { node16: string | null; node18: string | null } })[];
  nonce: string | null;
  createdAt: Timestamp;
  expiresAt: Timestamp;
  quote: null;
}

export interface Verdict {
  valid: boolean;
  reason: string | null;
  simulated: true;
}

export interface Secret {
  id: string;
  name: string;
  description: string;
  version: number;
  /** Ids of the functions that may have it; null for every function that lists it. */
  functions: string[] | null;
  createdAt: Timestamp;
  updatedAt: Timestamp;
}

export interface SecretChanges {
  value?: string;
  description?: string;
  functions?: string[] | null;
}

export interface NewSecret extends SecretChanges {
  name: string;
  value: string;
}

export interface ApiKey {
  id: string;
  name: string;
  prefix: string;
  permissions: Permission[];
  createdAt: Timestamp;
  expiresAt: Timestamp | null;
  lastUsedAt: Timestamp | null;
  revoked: boolean;
}

/** A key in the one answer that shows it. */
export interface MadeApiKey extends ApiKey {
  key: string;
  /** After a rotation: the key it stands in for, with its new end. */
  replaces?: ApiKey;
}

export interface NewApiKey {
  name: string;
  /** Default: read, write and execute. */
  permissions?: Permission[];
  expiresAt?: string;
}

export interface Deleted {
  id: string;
  deleted: true;
}

export interface Functions {
  list(options?: ListFunctionsOptions): Promise<Page<ListedFunction>>;
  create(definition: FunctionDefinition, options?: RequestOptions): Promise<FunctionDetails>;
  get(
    idOrName: string,
    options?: { includeCode?: boolean } & RequestOptions,
  ): Promise<FunctionDetails & { stats: FunctionStats }>;
  update(idOrName: string, changes: FunctionChanges, options?: RequestOptions): Promise<FunctionDetails>;
  delete(idOrName: string, options?: RequestOptions): Promise<Deleted>;
  /** Run a function. A run that fails rejects with the code `execution_error`. */
  invoke(
    idOrName: string,
    params: object | null | undefined,
    options: InvokeOptions & { async: true },
  ): Promise<AcceptedInvocation>;
  invoke<Result = unknown>(
    idOrName: string,
    params?: object | null,
    options?: InvokeOptions & { async?: false },
  ): Promise<Invocation<Result>>;
  listExecutions(idOrName: string, options?: ListExecutionsOptions): Promise<Page<Execution>>;
  getExecution<Result = unknown>(
    idOrName: string,
    executionId: string,
    options?: RequestOptions,
  ): Promise<ExecutionDetails<Result>>;
  /** Poll an execution until it is completed or failed; `timeout` (milliseconds) bounds it all. */
  waitForExecution<Result = unknown>(
    idOrName: string,
    executionId: string,
    options?: RequestOptions,
  ): Promise<ExecutionDetails<Result>>;
  getEnvironment(idOrName: string, options?: RequestOptions): Promise<Record<string, string>>;
  /** Replace all environment variables. */
  setEnvironment(
    idOrName: string,
    environment: Record<string, string>,
    options?: RequestOptions,
  ): Promise<Record<string, string>>;
  /** Replace the names of the secrets the function is given. */
  setSecrets(idOrName: string, names: string[], options?: RequestOptions): Promise<string[]>;
}

export interface Secrets {
  list(options?: Paging): Promise<Page<Secret>>;
  create(secret: NewSecret, options?: RequestOptions): Promise<Secret>;
  /** What is told of a secret, by id or by name; never its value. */
  get(idOrName: string, options?: RequestOptions): Promise<Secret>;
  update(idOrName: string, changes: SecretChanges, options?: RequestOptions): Promise<Secret>;
  delete(idOrName: string, options?: RequestOptions): Promise<Deleted>;
}

export interface ApiKeys {
  list(options?: Paging): Promise<Page<ApiKey>>;
  create(wanted: NewApiKey, options?: RequestOptions): Promise<MadeApiKey>;
  revoke(id: string, options?: RequestOptions): Promise<{ id: string; revoked: true }>;
  /** Make a new key in the place of one that works on for a while. */
  rotate(id: string, options?: RequestOptions): Promise<MadeApiKey>;
}

export interface Attestation {
  get(options?: { nonce?: string } & RequestOptions): Promise<AttestationDocument>;
  verify(document: AttestationDocument | Receipt, options?: RequestOptions): Promise<Verdict>;
}

export class NeoServiceLayer {
  constructor(options?: ClientOptions);
  readonly functions: Functions;
  readonly secrets: Secrets;
  readonly apiKeys: ApiKeys;
  readonly attestation: Attestation;
  /** How the service is, and which runtimes it offers. */
  health(options?: RequestOptions): Promise<{ status: string; runtimes: unknown } & Record<string, unknown>>;
}

/** What the service refused, or why it could not be asked. */
export class NeoServiceError extends Error {
  readonly name: 'NeoServiceError';
  /** The service's own code, or `network_error`, `timeout`, `unexpected_response`. */
  readonly code: string;
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly details: Record<string, any>;
  readonly requestId: string | null;
  /** Seconds after which to try again, when the service said so. */
  readonly retryAfter: number | null;
  /** The execution that failed, when a synchronous run did. */
  readonly executionId: string | null;
}
