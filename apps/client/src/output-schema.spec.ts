// Every command's --json against the published schema.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startTestGateway, TEST_PASSWORD, type TestGateway } from '@strife/sdk/testing';
import { makeStores } from './testing/bank-stores.ts';
import { checkDocuments, outputSchema } from './testing/output-schema.ts';
import { strifeFolder, type StrifeFolder } from './testing/strife-folder.ts';

const ID = '0198c0de-0000-7000-8000-000000000001';
const SMALL_ID = '0198c0de-0000-7000-8000-000000000002';
const QUEUED_ID = '0198c0de-0000-7000-8000-000000000003';
const NOWHERE = ['--gateways', '127.0.0.1:1', '--timeout', '0.2'];
const PASSWORD = { env: { STRIFE_PASSWORD: TEST_PASSWORD } };

let gateway: TestGateway;
let folder: StrifeFolder;
const seen = new Set<string>();

beforeAll(async () => {
  gateway = await startTestGateway();
  folder = strifeFolder(gateway);
  mkdirSync(join(folder.path, 'stores'));
  makeStores(join(folder.path, 'stores'));
});

afterAll(() => {
  gateway.kill();
  folder.remove();
});

/** In this order: each goes on from where the one before it left things. */
const COMMANDS: readonly [args: string[], code: number, documents: string[], options?: object][] = [
  [['whoami'], 3, ['errorDocument']],
  [['login', 'alpha', 'alice'], 0, ['sessionDocument'], PASSWORD],
  [['login', 'alpha', 'alice'], 2, ['errorDocument']],
  [['whoami'], 0, ['sessionDocument']],
  [['balance'], 0, ['balanceDocument']],
  [['pay', 'beta/bob', '1.50', '--memo', 'tea', '--id', ID], 0, ['transferDocument']],
  [['pay', 'beta/bob', '5000'], 4, ['errorDocument']],
  [['pay', 'beta/bob', '2', '--id', ID], 6, ['errorDocument']],
  [['pay', 'beta/bob', '1', ...NOWHERE], 7, ['errorDocument']],
  [['history'], 0, ['entryDocument', 'entryDocument']],
  [['transfer', 'show', ID], 0, ['transferDocument']],
  [['transfer', 'explain', ID], 0, ['timelineDocument']],
  [['transfer', 'show', ID.replace('1', '9')], 5, ['errorDocument']],
  [['queue', 'list'], 0, []],
  [['queue', 'flush'], 0, ['pendingDocument']],
  [['pay', 'beta/bob', '3', '--offline', ...NOWHERE], 9, ['queuedDocument']],
  [['pay', 'beta/bob', '3', '--offline', '--expires-in', '1h', '--id', QUEUED_ID, ...NOWHERE], 9, ['queuedDocument']],
  [['queue', 'list'], 0, ['queuedDocument', 'queuedDocument']],
  [['queue', 'drop', QUEUED_ID], 2, ['errorDocument']],
  [['logout'], 2, ['errorDocument']],
  [['queue', 'retry', QUEUED_ID], 0, ['transferDocument']],
  [['pay', 'beta/nobody', '3', '--offline'], 4, ['errorDocument']],
  [['pay', 'beta/bob', '0.01', '--offline', ...NOWHERE], 9, ['queuedDocument']],
  [['queue', 'flush'], 0, ['queuedDocument', 'pendingDocument']],
  [['pay', 'beta/bob', '0.02', '--offline', '--id', SMALL_ID], 0, ['transferDocument']],
  [['queue', 'drop', SMALL_ID], 0, ['droppedDocument']],
  [['audit', '--data-dir', 'stores'], 0, ['auditDocument']],
  [['doctor', '--data-dir', 'stores'], 1, ['doctorDocument']],
  [['config', 'explain'], 0, ['configDocument']],
  [['blance'], 2, ['errorDocument']],
  [['logout'], 0, ['sessionDocument']],
];

it.each(COMMANDS)('strife %j exits with %d and prints %j, as the schema says', async (args, code, documents, options = {}) => {
  const run = await folder.strife([...args, '--json'], options);
  expect({ ...run, stdout: checkDocuments(run.stdout) }).toEqual({ code, stdout: documents, stderr: '' });
  for (const name of documents) seen.add(name);
});

it('describes no document that no command prints', () => {
  expect(seen).toEqual(new Set(outputSchema.oneOf.map(({ $ref }) => $ref.split('/').at(-1))));
});

it('refuses what is not in the schema', () => {
  const session = { account: 'alpha/alice', currency: 'EUR', expiresAt: '2026-01-01T00:00:00.000Z' };
  expect(checkDocuments(JSON.stringify({ version: 1, session }))).toEqual(['sessionDocument']);
  for (const document of [{ version: 1, session, more: 1 }, { version: 2, session }, { version: 1, session: { ...session, token: 'x' } }, {}]) {
    expect(() => checkDocuments(JSON.stringify(document))).toThrow('of the documents');
  }
});
