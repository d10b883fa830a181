// How each top-level case ended, one JSON object a line: read by programs.py.
import { inspect } from 'node:util';

export default async function* report(events) {
  for await (const { type, data } of events) {
    if (data.nesting === 0 && (type === 'test:pass' || type === 'test:fail')) {
      const error = data.details.error;
      const problem = error ? inspect(error.cause ?? error) : '';
      yield `${JSON.stringify({ name: data.name, passed: type === 'test:pass', problem })}\n`;
    }
  }
}
