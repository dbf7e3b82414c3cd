// The stores of a local cluster: whether services can go on writing to them.

import { accessSync, constants, readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { failure, ok, warning, type Finding } from './finding.ts';

const STORE = /^(bank|gateway)-.+\.sqlite$/;
const FREE_BYTES_MIN = 1024 ** 3;
const MEBIBYTE = 1024 ** 2;

export function checkStores(dataDir: string): Finding[] {
  const check = `stores in ${dataDir}`;
  try {
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
    refuseReadOnly(dataDir);
    const files = readdirSync(dataDir).filter((file) => STORE.test(file)).sort();
    if (files.length === 0) return [warning(check, 'there are none', 'See strife config explain, data_dir.')];
    const { bavail, bsize } = statfsSync(dataDir);
    const free = bavail * bsize;
    const room = `${Math.floor(free / MEBIBYTE)} MiB free`;
    const disk = free < FREE_BYTES_MIN ? warning(check, room, 'A service whose disk is full stops.') : ok(check, room);
    return [disk, ...files.map((file) => storeFinding(join(dataDir, file), file))];
  } catch (error) {
    return [failure(check, `cannot be written: ${(error as Error).message}`, 'The services must own this folder.')];
  }
}

function storeFinding(path: string, file: string): Finding {
  const check = `store ${file}`;
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    refuseReadOnly(path);
    return ok(check, `writable, ${(statSync(path).size / MEBIBYTE).toFixed(1)} MiB`);
  } catch (error) {
    return failure(check, `cannot be written: ${(error as Error).message}`);
  }
}

/** The doctor may be root, who may write anything; the services are not. */
function refuseReadOnly(path: string): void {
  const { mode } = statSync(path);
  if ((mode & 0o222) === 0) throw new Error(`nobody may write to it (mode ${(mode & 0o777).toString(8)})`);
}
