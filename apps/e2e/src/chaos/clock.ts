// The wall clock of a service, set from outside while it runs, with libfaketime.

import { writeFile } from 'node:fs/promises';

/**
 * What a process has to be started with for its clock to follow the file. Only the wall clock jumps; timers go on by the monotonic one, as on a
 * machine whose clock is set.
 *
 * @param library libfaketime's path
 */
export function clockVariables(library: string, file: string): Record<string, string> {
  return { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_CACHE_DURATION: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1' };
}

/** Sets the clock that the file stands for; 0 is right. The file must be there before the process is. Takes effect within a second. */
export function setClock(file: string, offsetS: number): Promise<void> {
  return writeFile(file, `${offsetS < 0 ? '' : '+'}${offsetS}\n`);
}
