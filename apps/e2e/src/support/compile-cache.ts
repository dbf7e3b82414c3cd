// Compiled code that the processes of all specs share: most of a short-lived process's time goes into compiling the same files.

import { resolve } from 'node:path';

/** For the environment of every process that a spec starts. Node checks the cache against the sources, so it is never stale. */
export const compileCache = { NODE_COMPILE_CACHE: resolve(import.meta.dirname, '../../../../tmp/compile-cache') } as const;
