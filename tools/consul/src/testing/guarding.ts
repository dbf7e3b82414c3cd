// A program for tests: starts a guarded process that does nothing, prints its id, and stays.

import { startGuarded } from '../guarded-process.ts';

const guarded = await startGuarded('sleep', ['600'], '/dev/null');
process.stdout.write(`${guarded.pid}\n`);
