// The offline queue: whether payments can be saved in it.

import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { failure, ok, type Finding } from './finding.ts';

/** Looks without opening it: a doctor that changes what it looks at is none. */
export function checkQueue(file: string): Finding {
  const check = `queue ${file}`;
  if (!existsSync(file)) return ok(check, 'not used yet');
  try {
    accessSync(dirname(file), constants.R_OK | constants.W_OK | constants.X_OK);
    accessSync(file, constants.R_OK | constants.W_OK);
    return ok(check, 'can be written; strife queue list shows it');
  } catch (error) {
    return failure(check, `cannot be written: ${(error as Error).message}`, 'Offline payments cannot be saved.');
  }
}
