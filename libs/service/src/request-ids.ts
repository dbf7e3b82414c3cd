// What names a call in the logs of both sides.
import { randomUUID } from 'node:crypto';

/** Of the metadata: what the caller gave, and, in the trailer, what the call was given. */
export const REQUEST_ID_KEY = 'x-request-id';

const REQUEST_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** The caller's request id, or a new one when there is none that is fit for a log. */
export function requestIdOf([given, ...more]: readonly (string | Uint8Array)[]): string {
  return typeof given === 'string' && more.length === 0 && REQUEST_ID.test(given) ? given : newRequestId();
}

/** All ids of a process begin with the same random part, and the rest is counted: they must differ, and need not be hard to guess. */
const BEGIN = randomUUID().slice(0, -12);
let count = 0;

function newRequestId(): string {
  count += 1;
  return BEGIN + count.toString(16).padStart(12, '0');
}
