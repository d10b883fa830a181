// Checked by the compiler, never run.
import { NeoServiceError, NeoServiceLayer, type ExecutionDetails, type Page, type ListedFunction } from '@tidemill/neo';

const layer = new NeoServiceLayer({ apiKey: 'sl_', baseUrl: 'http://localhost:8080', retryOnRateLimit: true, timeout: 5 });
const listed: Page<ListedFunction> = await layer.functions.list({ limit: 10, offset: 0, sort: 'createdAt', order: 'desc' });
const more: boolean = listed.pagination.hasMore;
const names: string[] = listed.map((each) => each.name);
const created = await layer.functions.create({ name: 'f', code: '1', runtime: 'node16', secrets: ['a'], tags: [] });
const details = await layer.functions.get(created.id, { includeCode: true });
const total: number = details.stats.invocations.total;
const { result, execution } = await layer.functions.invoke<{ message: string }>('f', { name: 'Neo' });
const message: string = result.message;
const completed: 'completed' = execution.status;
const accepted = await layer.functions.invoke('f', {}, { async: true, idempotencyKey: 'k' });
const running: 'running' = accepted.execution.status;
const done: ExecutionDetails<number> = await layer.functions.waitForExecution<number>('f', accepted.execution.id);
const stack: string | undefined = done.error?.stack;
await layer.functions.listExecutions('f', { status: 'failed', startDate: new Date() });
await layer.secrets.update('s', { value: 'v', functions: null });
const key: string = (await layer.apiKeys.create({ name: 'k', permissions: ['read'] })).key;
const valid: boolean = (await layer.attestation.verify(await layer.attestation.get({ nonce: '00' }))).valid;
try {
  await layer.functions.delete('f');
} catch (error) {
  if (error instanceof NeoServiceError) console.log(error.code, error.status, error.details['field'], error.requestId);
}

// @ts-expect-error - a runtime that is not offered
await layer.functions.create({ name: 'f', code: '1', runtime: 'node20' });
// @ts-expect-error - an accepted run has no result
accepted.result;
// @ts-expect-error - a value that is no string
await layer.functions.setEnvironment('f', { A: 1 });
// @ts-expect-error - a list does not say how it is sorted by size
await layer.functions.list({ sort: 'size' });

export { more, names, total, message, completed, running, stack, key, valid };
