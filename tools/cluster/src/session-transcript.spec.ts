// The transcript in docs/: a new recording has the same commands, happenings and exit codes.
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { workspaceRoot } from './service-process.ts';
import { recordSession, shapeOf } from './session-transcript.ts';

let root = '';

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'strife-session-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

it('is what a session is like today', async () => {
  const recorded = await readFile(join(workspaceRoot, 'docs/session/transcript.txt'), 'utf8');
  expect(shapeOf(recorded).length).toBeGreaterThan(10);
  expect(shapeOf(await recordSession(root))).toEqual(shapeOf(recorded));
});

it('names nothing of the machine that it was recorded on', async () => {
  const recorded = await readFile(join(workspaceRoot, 'docs/session/transcript.txt'), 'utf8');
  expect(recorded).not.toMatch(/\/(tmp|home|root|work|Users|var)\/|-password/);
});
