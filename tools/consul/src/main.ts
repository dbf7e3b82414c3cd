// Runs one Consul agent until Ctrl-C and prints how to reach it. `--acl` denies all without a token; `--dir` keeps its data.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ConsulStartError, startConsul } from './consul-agent.ts';

const { values } = parseArgs({ options: { acl: { type: 'boolean', default: false }, dir: { type: 'string' } } });
const directory = values.dir === undefined ? await mkdtemp(join(tmpdir(), 'strife-consul-')) : resolve(values.dir);
const removeUnlessKept = async (): Promise<void> => {
  if (values.dir === undefined) await rm(directory, { recursive: true, force: true });
};

const starting = startConsul({ directory, acl: values.acl });
// Also while it starts: it is stopped when it has.
const end = (): void => void starting.then((agent) => agent.stop()).then(removeUnlessKept, () => {});
process.once('SIGINT', end);
process.once('SIGTERM', end);

try {
  const agent = await starting;
  process.stdout.write(`consul ready on ${agent.address}\n`);
  if (agent.token !== undefined) process.stdout.write(`management token ${agent.token}\n`);
  process.stdout.write(`log ${agent.logFile}; Ctrl-C stops it\n`);
} catch (error) {
  await removeUnlessKept();
  if (!(error instanceof ConsulStartError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
