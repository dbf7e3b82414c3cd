// Waiting for something that only looking can tell: a row in another process's store, bytes in a proxy.

import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 5;
const TIMEOUT_MS = 20_000;

/** Resolves once `holds` returns true. @throws Error that says what was waited for when it does not in time */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = TIMEOUT_MS): Promise<void> {
  const endAtMs = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > endAtMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await delay(LOOK_EVERY_MS);
  }
}
